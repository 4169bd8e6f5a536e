// What decided, as a sentence: the rules of ours by name, each said for a person who has never read the code.
import type { LoggedEntry } from './history.ts'

/** Rules that allow. A refusal says by itself why it was one. */
const sentences: Readonly<Record<string, string>> = {
  client_credentials: 'The agent asked for itself, and its grants hold all that it asked for.',
  scope: 'The access token of the caller holds the scope that this takes.',
  idempotency_key: 'The same request was answered before; the caller got that answer again.',
  enrollment_token: 'The instance showed a single-use enrolment token, and proved to hold its key.',
  old_and_new_key: 'The instance proved to hold its old key and the new one.',
  own_token: 'The token was issued to the caller, who may end it.',
  introspection_client: 'The caller may introspect tokens for this resource.',
  bootstrap: 'The authority was started for the first time.',
}

/** Says what decided the entry. `rule` is the name that stands in it, or null. */
export function sayRule(entry: Pick<LoggedEntry, 'outcome' | 'reason'>, rule: string | null): string {
  if (entry.outcome !== 'allowed')
    return entry.reason ?? `It was ${entry.outcome}: ${rule ?? 'without a reason'}.`
  if (rule === null) return 'The authority did this by itself, on its own clock.'
  return sentences[rule] ?? `The rule ${rule} allows it.`
}
