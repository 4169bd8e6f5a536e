// The link from a test to the requirements it proves; `tools/specs.ts` reads the calls without running them.
import { type RequirementId, specifications } from './requirements/index.ts'

const known = new Set<string>(specifications.flatMap(({ requirements }) => requirements.map(({ id }) => id)))

/**
 * Says which requirements the surrounding test proves. Call it first in the test, with literal ids:
 * `verifies('RFC6750-3.1-2')`. Throws on an id that no row has.
 */
export const verifies = (...ids: readonly RequirementId[]): void => {
  for (const id of ids) if (!known.has(id)) throw new Error(`${id} is not a row of test/rfc/requirements`)
}
