// The difference between two sentences, word by word, from their longest common subsequence.

const MAX_WORDS = 600; // the table has the square of it; longer texts are shown as wholly different
const WORDS = /\s+|\p{N}+(?:[.,]\p{N}+)+|[\p{L}\p{M}\p{N}]+|[^\s\p{L}\p{M}\p{N}]/gu;

/** Return [{ text, kind }] in reading order; `kind` is "same", "old" or "new". */
export function diff(before, after) {
  const old = before.match(WORDS) ?? [];
  const now = after.match(WORDS) ?? [];
  if (old.length > MAX_WORDS || now.length > MAX_WORDS) {
    return [{ text: before, kind: "old" }, { text: after, kind: "new" }];
  }
  const common = commonLengths(old, now);
  const parts = [];
  const add = (text, kind) => {
    if (parts.at(-1)?.kind === kind) parts.at(-1).text += text;
    else parts.push({ text, kind });
  };
  let [i, j] = [0, 0];
  while (i < old.length || j < now.length) {
    if (i < old.length && j < now.length && old[i] === now[j]) {
      add(old[i], "same");
      i += 1;
      j += 1;
    } else if (j === now.length || (i < old.length && common[i + 1][j] >= common[i][j + 1])) add(old[i++], "old");
    else add(now[j++], "new");
  }
  return parts;
}

/** Return the table of the longest common subsequence: entry [i][j] is its length for old[i..] and now[j..]. */
function commonLengths(old, now) {
  const common = Array.from({ length: old.length + 1 }, () => new Uint16Array(now.length + 1));
  for (let i = old.length - 1; i >= 0; i -= 1) {
    for (let j = now.length - 1; j >= 0; j -= 1) {
      common[i][j] = old[i] === now[j] ? common[i + 1][j + 1] + 1 : Math.max(common[i + 1][j], common[i][j + 1]);
    }
  }
  return common;
}
