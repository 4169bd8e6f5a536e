// Generated from docs/openapi.json by tools/openapi.ts; never edited. What the operations below /enforcement-points take and answer.

interface EnforcementPoint {
  /** What it calls itself; nobody vouches for it */
  readonly label: string
  readonly node: string
  /** Up to which epoch it enforces everything */
  readonly epoch: number
  readonly seen_at: string
}

interface EnforcementPoints {
  /** The newest epoch; whoever has it enforces everything */
  readonly epoch: number
  readonly items: readonly EnforcementPoint[]
}

export interface EnforcementPointsOperations {
  /** See which connected enforcement points have confirmed what was halted or revoked up to now. */
  'enforcement-points.list': { readonly input: object; readonly answer: EnforcementPoints }
}
