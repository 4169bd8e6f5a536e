// Every operation of the management API. Adding one is a file with an `operation`, a line here, a row in access.ts.
import { activationOperations } from './activation/activations.ts'
import { approvalOperations } from './activation/approvals.ts'
import { eligibilityOperations } from './activation/eligibilities.ts'
import { agentOperations } from './agents/agents.ts'
import { enrollmentOperations } from './agents/enrollments.ts'
import { agentMoveOperations } from './agents/moves.ts'
import { eventOperations } from './audit/events.ts'
import { whyOperations } from './audit/why.ts'
import { whyNotOperations } from './audit/why-not.ts'
import { clientOperations } from './clients/clients.ts'
import { clientSecretOperations } from './clients/secrets.ts'
import { haltOperations } from './enforcement/halts.ts'
import { enforcementPointOperations } from './enforcement/points.ts'
import { riskOperations } from './enforcement/risks.ts'
import { sessionOperations } from './enforcement/sessions.ts'
import { grantOperations } from './grants/grants.ts'
import { grantUsageOperations } from './grants/usage.ts'
import { issuerKeyOperations } from './keys/issuer-keys.ts'
import { keyOperations } from './keys/keys.ts'
import type { AnyOperation } from './operation.ts'
import { groupOperations } from './people/groups.ts'
import { peopleOperations } from './people/people.ts'
import { policyActivationOperations } from './policies/activation.ts'
import { policyReplayOperations } from './policies/replay.ts'
import { policySetOperations } from './policies/sets.ts'
import { resourceOperations } from './resources/resources.ts'
import { blastRadiusOperations } from './rotation/blast-radius.ts'
import { rotationOperations } from './rotation/rotations.ts'
import { scheduleOperations } from './rotation/schedules.ts'
import { secretLeaseOperations } from './secrets/leases.ts'
import { secretRetirementOperations } from './secrets/retirement.ts'
import { secretOperations } from './secrets/secrets.ts'
import { secretVersionOperations } from './secrets/versions.ts'

export const operations: readonly AnyOperation[] = [
  ...agentOperations,
  ...agentMoveOperations,
  ...enrollmentOperations,
  ...keyOperations,
  ...resourceOperations,
  // Before the routes of single grants, which would take its path.
  ...grantUsageOperations,
  ...grantOperations,
  ...clientOperations,
  ...clientSecretOperations,
  ...peopleOperations,
  ...groupOperations,
  ...policyActivationOperations,
  ...policyReplayOperations,
  ...policySetOperations,
  ...issuerKeyOperations,
  ...rotationOperations,
  ...blastRadiusOperations,
  ...scheduleOperations,
  ...secretOperations,
  ...secretVersionOperations,
  ...secretRetirementOperations,
  ...secretLeaseOperations,
  ...haltOperations,
  ...enforcementPointOperations,
  ...riskOperations,
  ...sessionOperations,
  ...eligibilityOperations,
  ...activationOperations,
  ...approvalOperations,
  ...eventOperations,
  ...whyOperations,
  ...whyNotOperations,
]
