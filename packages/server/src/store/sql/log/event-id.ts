// Ids of audit entries: the place in the log and 80 random bits, so that an entry is found by its id without an index.
import { type EventId, parseId } from '@writ/sdk/protocol/identifier'

const alphabet = '0123456789abcdefghjkmnpqrstvwxyz'
/** Letters of five bits: ten for the index, which a whole number fills at most, and sixteen that nobody can guess. */
const indexLetters = 10
const randomLetters = 16

/** The id of the entry at `index`. The index is no secret: it stands in the entry beside its id. */
export function eventIdAt(index: number, random: Uint8Array): EventId {
  let place = ''
  for (let rest = index; place.length < indexLetters; rest = Math.floor(rest / 32)) {
    place = (alphabet[rest % 32] as string) + place
  }
  let text = `evt_${place}`
  for (let at = 0; at < randomLetters; at++) text += alphabet[(random[at] as number) & 31]
  return text as EventId
}

/** Where the entry of this id would be; undefined where the text is no id of an entry. */
export function indexIn(id: string): number | undefined {
  if (parseId('evt', id) === undefined) return undefined
  let index = 0
  for (const letter of id.slice(4, 4 + indexLetters)) index = index * 32 + alphabet.indexOf(letter)
  return index
}

/** How many random bytes an id takes. */
export const randomBytesOfId = randomLetters
