// Lays the margin note beside its sentence, draws the ruler, opens the document at the cited sentence.
const reader = document.querySelector('.reader')
if (reader) {
  const pane = reader.querySelector('.pane'), text = reader.querySelector('.text'), ruler = reader.querySelector('.ruler')
  const links = [...ruler.querySelectorAll('a')]
  const note = reader.querySelector('.margin'), cited = reader.querySelector('.cited'), wide = matchMedia('(min-width: 80rem)')
  const scroller = () => wide.matches ? pane : document.scrollingElement
  const top = node => node.getClientRects()[0].top - text.getBoundingClientRect().top

  const show = (node = cited) => {
    const pane_ = wide.matches ? pane.getBoundingClientRect() : { top: 0, height: innerHeight }
    const at = node.getClientRects()[0].top - pane_.top
    scroller().scrollTop += at - pane_.height / 3.4
  }
  const draw = () => {
    const height = text.offsetHeight, part = y => `${(100 * y / height).toFixed(2)}%`
    if (note) note.style.top = wide.matches ? `${top(cited) + 2}px` : ''
    for (const old of ruler.querySelectorAll('.tick')) old.remove()
    for (const heading of text.querySelectorAll('h2')) {
      const tick = document.createElement('span')
      tick.className = 'tick'
      tick.style.top = part(top(heading))
      ruler.append(tick)
    }
    // Answers nearer than a target is high share one: its label names them all
    let open, at = -99
    for (const link of links) {
      const y = top(document.getElementById(link.hash.slice(1))), mark = document.createElement('span')
      mark.className = link.ariaCurrent ? 'tick at now' : 'tick at'
      mark.style.top = link.style.top = part(y)
      ruler.append(mark)
      link.hidden = (y - at) / height * ruler.offsetHeight < 24
      if (link.hidden) { open.textContent += `, ${link.dataset.n}` } else { open = link; at = y; open.textContent = link.dataset.n }
      open.ariaLabel = `Answers ${open.textContent}`
    }
    view()
  }
  const view = () => {
    const box = text.getBoundingClientRect(), from = wide.matches ? pane.getBoundingClientRect().top : 0
    const seen = wide.matches ? pane.clientHeight : innerHeight, bar = ruler.querySelector('.view')
    const a = Math.max(0, from - box.top), b = Math.min(box.height, from + seen - box.top)
    bar.style.top = `${100 * a / box.height}%`
    bar.style.height = `${Math.max(0, 100 * (b - a) / box.height)}%`
  }
  const sheet = () => {
    document.body.classList.toggle('sheet-document', location.hash.length > 1)
    if (reader.offsetHeight) { draw(); show(document.getElementById(location.hash.slice(1)) ?? cited); view() }
    setTimeout(() => document.activeElement.blur()) // the browser focuses the target of a fragment; here history, not fragments, will open sheets
  }
  addEventListener('hashchange', sheet)
  addEventListener('resize', draw)
  pane.addEventListener('scroll', view, { passive: true })
  addEventListener('scroll', view, { passive: true })
  reader.querySelector('.back').addEventListener('click', () => { history.pushState(null, '', ' '); location.hash = '' })
  sheet()
}
// Browsers without field-sizing
const field = document.querySelector('.ask textarea')
if (field && !CSS.supports('field-sizing', 'content')) field.style.height = `${field.scrollHeight}px`
