// Halts as the revocation stream has to tell them: those of tools, which no token names.
import { type Halted, subjectDigest } from '@writ/sdk/protocol/revocation'
import { type Halt, haltedTool, haltSubject } from '../../domain/authorization/halt.ts'
import type { Signal } from '../../domain/change.ts'

/** Whether one of the signals says that something was halted or lifted. */
export function isAboutHalts(signals: readonly Pick<Signal, 'subject'>[]): boolean {
  return signals.some(({ subject }) => subject === haltSubject)
}

/** `halts`: all that stand at that epoch. */
export function toldHalts(epoch: number, halts: readonly Halt[]): Halted {
  const tools = halts.map(haltedTool).filter(subject => subject !== undefined)
  return { epoch, subjects: tools.map(subjectDigest) }
}
