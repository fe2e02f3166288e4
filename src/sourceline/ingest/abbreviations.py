"""Words around a full stop that tell whether a sentence ends there: patterns without groups, and words."""

import re


def _any(words: str) -> str:
    """Return a pattern for one of these words, each followed by a full stop; "_" stands for white space, or none."""
    return "(?:" + "|".join(re.escape(word).replace("_", r"\s*") for word in words.split()) + r")\."


# A name follows these, whatever it begins with.
TITLES = _any(
    "Ms Mr Mrs Mx Dr Drs Prof Cllr Clr Coun Chmn Hon Rev Revd Fr Capt Cpt Cmdr Lt Col Gen Maj Sgt Cpl Adm Sen Rep Gov "
    "Pres Supt Insp Messrs Mt Ald Amb Atty Asst Assoc Vice-Pres St Mme Mmes Mlle MM Mgr Sr Sra Srta Dra Dña Ud Uds "
    "Hr Frl Hrn Bgm Dipl Dipl-Ing Dipl.-Ing Dipl.-Kfm Dipl.-Kffr Ing Sig Dott Ste Sto Sta Pr Dhr dhr Mevr mevr "
    "Exmo Exma "
    "د أ م डॉ श्री प्रो कु им"
)
# A number follows these: "vol. 4", "Abs. 3", "núm. 5". By themselves they can end a sentence ("No.").
BEFORE_NUMBERS = _any(
    "No Nos Nr Nrn vol vols para paras pt art arts sec sect sects cl fig figs eq ch chap p pp pg l ll ed col fol "
    "app ex ext est Abs S Bd Bde Kap Ziff Rn Hs Anl Tab Abb Aufl Jg Tel núm nº pág págs párr cap caps t n num av al "
    "r apt rm ca c rs नं ср стр п blz"
)
# Something always follows these.
UNFINISHED = _any(
    "e.g e._g i.e i._e cf viz approx appr ca resp incl excl esp z.B z._B d.h d._h i.d.R i._d._R v.a v._a gem "
    "bzw vgl ggf evtl bspw sog inkl zzgl abzgl ehem gez lt lfd zzt z.Zt z._Zt insb einschl p.ex p._ex c.-à-d "
    "env p.ej p._ej aprox Excmo Excma Ilmo Ilma Avda Av Ctra Depto cc p.es bijv o.a o._a d.w.z d._w._z m.b.t i.v.m "
    "t.a.v t.o.v n.a.v रु"
)
# Something may follow these, or nothing: the next word decides.
MAYBE_LAST = _any(
    "etc ecc enz Inc Ltd Co Corp Bros Jr Snr al Ave Blvd Rd Str Dept dept Univ Assn U.S U.K U.N E.U EE._UU usw u.s.w "
    "u.a u._a o.ä o._ä Mio Mrd Tsd Std St Jh Chr Jan Feb Mar Apr Jun Jul Aug Sep Sept Oct Okt Nov Dec Dez janv févr "
    "avr juil déc Mon Tue Tues Wed Thu Thur Thurs Fri"
)
# Words that begin sentences and are no names. Behind an abbreviation that may be the last word, they tell.
OPENERS = frozenset(
    "the a an it he she they we you this that these those there here in on at for from if when while after before "
    "as but and or so then no not all both each some any most many what who how why where his her its our their my "
    "your one since until during because although however nobody everybody present tea is was are were do does did "
    "has have der die das ein eine einen er sie es wir ihr ich dies diese dieser dieses im in am an auf bei mit "
    "nach vor dann da dort hier so aber und oder wenn als weil danach alle beide kein keine man auch für zu zum zur "
    "seine ihre unser le la les un une il elle ils elles nous vous je on ce cette ces c'est puis mais et ou si dans "
    "en au aux pour après el los las una él ella ellos ellas se su sus lo en y o pero si cuando después no hay este "
    "esta estos estas".split()
)
MONTHS = (
    r"(?:jan(?:uary?|vier)?|enero|jänner|feb(?:ruary?|rero)?|février|mar(?:ch|s|zo)?|märz|apr(?:il)?|avril|abril"
    r"|may|mai|mayo|june?|juni|juin|junio|july?|juli|juillet|julio|aug(?:ust)?|août|agosto|sept?(?:ember|embre)?"
    r"|septiembre|o[ck]t(?:ober|obre|ubre)?|nov(?:ember|embre|iembre)?|de[cz](?:ember)?|décembre|diciembre"
    r")"
)
SHORT_MONTHS = _any("jan janv feb févr febr mar apr avr jun jul juil aug sep sept set oct okt nov dec déc dez")
# Of measures, behind a number. Such a word may also end a sentence.
UNITS = r"(?:[kcm]?m|km/h|[mcdh]?l|k?g|ft|yds?|lbs?|oz|hrs?|h|min|mins|secs?|ha|kWh|kW|MW|Std|Min|Sek)\."
WEEKDAYS = r"(?:mon|tues?|wed(?:nes)?|thu(?:rs?)?|fri|sat(?:ur)?|sun)(?:day)?s?"
# Words that end no sentence and no short fact: another word must follow.
FUNCTION_WORDS = frozenset(
    "the a an of and or to by from with at as that which whose for into onto than between among during until because "
    "while if our their its his my your is are was were be been has have had will would shall should can could may "
    "must not very der die das den dem des ein eine einen einem einer eines und oder von vom zum zur im am beim für "
    "mit bei aus nach über unter durch gegen ohne wegen dass weil wenn als wie nicht sehr le la les un une du des et "
    "ou de au aux dans pour par sur avec sans que qui el los las una del al y o con sin para por en su sus se".split()
)
# What counts an item or a heading: "2.", "2.1", "(a)", "iv)".
LIST_NUMBER = r"(?:[(\[]?(?:\d{1,3}(?:\.\d{1,3})*|[a-zA-Z]|[ivxIVX]{1,6})[.)\]])"
LIST_BULLET = r"[-*+•·▪◦‣–]"
