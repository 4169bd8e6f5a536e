// Names that people read: UTS 39 §5.2 (highly restrictive), UAX 15 normal forms, nothing invisible (threat C40).

export type NameProblem =
  | 'length'
  | 'not_normal'
  | 'control'
  | 'invisible'
  | 'space'
  | 'mixed_scripts'
  | 'looks_like_an_id'

/** For the caller: what is wrong, as the end of a sentence that begins with the member's name. */
export const sayProblem: Readonly<Record<NameProblem, string>> = {
  length: 'is empty or too long',
  not_normal: 'is not in its Unicode normal form',
  control: 'contains control or unassigned characters',
  invisible: 'contains invisible or direction-changing characters',
  space: 'has spaces where none may be',
  mixed_scripts: 'mixes scripts whose letters look alike',
  looks_like_an_id: 'looks like an identifier of this server',
}

/** UAX 31 Table 5: the scripts recommended for identifiers, Latin aside. */
const scripts =
  'Arabic Armenian Bengali Bopomofo Cyrillic Devanagari Ethiopic Georgian Greek Gujarati Gurmukhi Han Hangul Hebrew Hiragana Kannada Katakana Khmer Lao Malayalam Myanmar Oriya Sinhala Tamil Telugu Thaana Thai Tibetan'

// One class and no alternatives: a character that belonged to two of them (a mark of Latin, the long vowel of Hiragana
// and Katakana) would double the ways to try with each repetition (threat C64).
const lettersBeside = (...names: readonly string[]): RegExp =>
  new RegExp(`[\\p{L}--[${names.map(name => `\\p{Script_Extensions=${name}}`).join('')}]]`, 'v')

// UTS 39 §5.2: one script, or Latin beside the scripts of Chinese, Japanese or Korean, which share no shapes with it.
const foreignLetters: readonly RegExp[] = [
  lettersBeside('Latin', 'Han', 'Hiragana', 'Katakana'),
  lettersBeside('Latin', 'Han', 'Bopomofo'),
  lettersBeside('Latin', 'Han', 'Hangul'),
  ...scripts.split(' ').map(name => lettersBeside(name)),
]

/** Tests over one property each: linear, whatever the text (threat C64). */
const control = /[\p{Cc}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}]/u
const invisible = /[\p{Cf}\p{Default_Ignorable_Code_Point}]/u
const strangeSpace = /(?! )\p{Zs}|^ | $| {2}/u
const identifierLike = /^(?:agt|ins|usr|cli|res|grt|shd|apr|evt|key)_/i

/** What keeps a sentence (a purpose, a reason, a description) from being shown as it is, or undefined. */
export function checkProse(text: string, maxLength: number): NameProblem | undefined {
  if (text.length === 0 || text.length > maxLength || text.trim() === '') return 'length'
  if (control.test(text)) return 'control'
  if (invisible.test(text)) return 'invisible'
  // Normalise before validating: two spellings of one text must not be two texts.
  if (text !== text.normalize('NFC')) return 'not_normal'
  return undefined
}

/** What keeps a text from being a name, or undefined: beyond prose, no compatibility forms and no mixed scripts. */
export function checkName(text: string, maxLength: number): NameProblem | undefined {
  const problem = checkProse(text, maxLength)
  if (problem !== undefined) return problem
  if (text !== text.normalize('NFKC')) return 'not_normal'
  if (strangeSpace.test(text)) return 'space'
  if (foreignLetters.every(foreign => foreign.test(text))) return 'mixed_scripts'
  return undefined
}

/** What keeps a text from being a login, or undefined: a name without spaces that is no identifier of ours. */
export function checkLogin(text: string, maxLength: number): NameProblem | undefined {
  const problem = checkName(text, maxLength)
  if (problem !== undefined) return problem
  if (text.includes(' ')) return 'space'
  // An owner is named by id or by login: a login that could be taken for an id would be one name for two people.
  return identifierLike.test(text) ? 'looks_like_an_id' : undefined
}
