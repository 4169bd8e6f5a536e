// What is halted until it is lifted, as the issuer told it last: a set that no late, lost or repeated message takes back.
import type { Halted } from '../../protocol/revocation.ts'

export interface Halts {
  /** Believes it unless something newer is known. */
  learn(told: Halted | undefined): void
  has(digest: string): boolean
}

export function createHalts(): Halts {
  let epoch = Number.NEGATIVE_INFINITY
  let subjects: ReadonlySet<string> = new Set()
  return {
    learn(told) {
      if (told === undefined || told.epoch < epoch) return
      // Of two words about one epoch one is wrong: what either of them halts, is halted.
      subjects = new Set(told.epoch === epoch ? [...subjects, ...told.subjects] : told.subjects)
      epoch = told.epoch
    },
    has: digest => subjects.has(digest),
  }
}
