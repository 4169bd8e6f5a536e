// The risk score of a subject: told by events from outside, read by policies at the next call.

export interface Risk {
  /** The id of an agent, an instance, a session or a person; each has one score. */
  readonly id: string
  /** 0 (none) to 100, whole. */
  readonly score: number
  readonly reason: string
  /** Who says so: the caller that reported it. */
  readonly source: string
  readonly createdAt: number
  /** From this instant on the score is 0 again; null where it stands until it is replaced. */
  readonly expiresAt: number | null
}

/** The subject of the signal that a score changed. */
export function riskSubject(id: string): string {
  return `risk:${id}`
}

export function scoreAt(risk: Risk | undefined, now: number): number {
  return risk === undefined || (risk.expiresAt !== null && risk.expiresAt <= now) ? 0 : risk.score
}
