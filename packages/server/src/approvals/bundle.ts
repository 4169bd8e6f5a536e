// Several denials filed at once (AuthZEN access request profile, "Access Request Submission"): one task that names others.
import type { ApprovalId } from '@writ/sdk/protocol/identifier'
import { type Approval, type ApprovalState, stateOf } from '../domain/authorization/approval.ts'
import type { OneTime, Take } from '../domain/change.ts'
import { hashParts } from '../domain/hash.ts'
import { taskOf } from './task.ts'

/** Most denials of one bundle. */
export const mostOfBundle = 16

/** What was filed together. Each denial is a task of its own, decided for itself; this only names them. */
export interface Bundle {
  readonly by: string
  readonly items: readonly BundleItem[]
}

export interface BundleItem {
  readonly task: ApprovalId
  /** As they were filed, to be shown again. */
  readonly resource: object
  readonly action: object
}

/** An item with what became of it; undefined where its record is gone. */
export type Followed = BundleItem & { readonly approval: Approval | undefined }

export function bundleTake(id: string): Take {
  return { kind: 'access_bundle', key: hashParts('access-bundle', id).toString('base64url') }
}

export function storedBundle(id: string, bundle: Bundle, expiresAt: number): OneTime {
  return { ...bundleTake(id), value: JSON.stringify(bundle), expiresAt }
}

/** "Access Request Response": pending while one of them is, then what all of them are, or partial. */
function bundleState(states: readonly ApprovalState[]): ApprovalState {
  if (states.includes('pending')) return 'pending'
  const [first = 'failed', ...others] = new Set(states)
  return others.length === 0 ? first : 'partial'
}

const stateOfItem = ({ approval }: Followed, now: number): ApprovalState =>
  approval === undefined ? 'failed' : stateOf(approval, now)

/** The bundle as its requester sees it. There is no result of the whole: what is approved is approved item by item. */
export function bundleTaskOf(
  id: string,
  items: readonly Followed[],
  endpoint: string,
  now: number,
): Record<string, unknown> {
  const status = bundleState(items.map(item => stateOfItem(item, now)))
  const statusEndpoint = `${endpoint}/${id}`
  const ends = items.flatMap(({ approval }) => (approval?.state === 'pending' ? [approval.expiresAt] : []))
  return {
    task: {
      id,
      status,
      status_endpoint: statusEndpoint,
      ...(status === 'pending'
        ? {
            expires_at: new Date(Math.max(...ends) * 1000).toISOString(),
            links: { cancel: `${statusEndpoint}/cancel` },
          }
        : {}),
      items: items.map(item => shown(item, endpoint, now)),
    },
  }
}

function shown(item: Followed, endpoint: string, now: number): Record<string, unknown> {
  const { resource, action, approval } = item
  const { result } = approval === undefined ? {} : taskOf(approval, endpoint, now)
  const status = stateOfItem(item, now)
  return { resource, action, status, ...(result === undefined ? {} : { result }) }
}
