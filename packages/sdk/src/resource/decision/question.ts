// One operation as the resource puts it to the decision point: AuthZEN Authorization API 1.0 §6.1, our context members.
import type { Caller } from '../caller.ts'

export type BudgetUnit = 'calls' | 'money' | 'rows' | 'bytes'

/** Whole numbers. `money` is in the smallest unit of `currency` (ISO 4217), and says nothing without it. */
export interface Amounts extends Readonly<Partial<Record<BudgetUnit, number>>> {
  readonly currency?: string
}

/** What is about to be done, in the resource's own words. */
export interface Act {
  /** The action's name: of the resource's map, `call` for a tool, a method in lower case, a verb of SQL. */
  readonly action: string
  /** What within the resource; left out where it is the resource as a whole. */
  readonly object?: { readonly type: string; readonly id: string; readonly properties?: Properties }
  /** The arguments of the call, as they will be used: what is decided on and what is done must be the same values. */
  readonly arguments?: Properties
  /** The address of the caller as this process's own socket saw it; never one from a header. */
  readonly peer?: string | undefined
  /** An approval that the caller names. */
  readonly approval?: string
  /** What the call costs; with `reserve`, what it costs at most, to be settled afterwards. */
  readonly amounts?: Amounts
  readonly reserve?: boolean
  /** Further facts of the resource; a policy sees them as not attested. Names that mean something else here are left out. */
  readonly context?: Properties
}

export type Properties = Readonly<Record<string, unknown>>

/** The body of the request, without `options`. Everything that may decide is in it, so it is also the key of a cache. */
export function questionOf(resource: string, caller: Caller, act: Act): Properties {
  const { object } = act
  return {
    // Other OAuth clients have rights from policies alone.
    subject: { type: caller.agent.startsWith('cli_') ? 'client' : 'agent', id: caller.agent },
    action: { name: act.action },
    resource:
      object === undefined
        ? { type: 'resource', id: resource }
        : {
            type: object.type,
            id: `${resource}#${object.id}`,
            ...(object.properties === undefined ? {} : { properties: object.properties }),
          },
    context: {
      ...(act.context === undefined ? {} : claimed(act.context)),
      ...(caller.instance === null ? {} : { instance: caller.instance }),
      ...(caller.person === null ? {} : { chain: [{ type: 'person', id: caller.person }] }),
      ...(caller.session === null ? {} : { session: caller.session }),
      ...(caller.task === null ? {} : { task: caller.task }),
      ...(act.peer === undefined ? {} : { peer: act.peer }),
      ...(act.arguments === undefined ? {} : { arguments: act.arguments }),
      ...(act.approval === undefined ? {} : { approval: { id: act.approval } }),
      ...(act.amounts === undefined ? {} : { amounts: act.amounts }),
      ...(act.reserve === true ? { reserve: true } : {}),
      token: {
        jti: caller.tokenId,
        grants: caller.grants,
        scopes: caller.scopes,
        ...(caller.authorizationDetails.length === 0
          ? {}
          : { authorization_details: caller.authorizationDetails }),
        key: caller.clientKey,
        ...(caller.key === null || caller.key === caller.clientKey ? {} : { jkt: caller.key }),
        epoch: caller.epoch,
        exp: caller.expiresAt,
      },
    },
  }
}

/** Members of the context that the decision point believes as ours: never from whoever chose the names of other facts. */
const believed: ReadonlySet<string> = new Set([
  ...['chain', 'instance', 'session', 'task', 'token', 'peer', 'arguments', 'approval', 'amounts', 'reserve'],
  ...['authentication_age', 'key_age'],
])

const claimed = (context: Properties): Properties =>
  Object.fromEntries(Object.entries(context).filter(([name]) => !believed.has(name)))

/**
 * One text for equal values, whatever the order of their members; undefined for what JSON cannot carry exactly: nothing
 * can be decided on it, since something else would be sent.
 */
export function textOf(value: unknown): string | undefined {
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return JSON.stringify(value)
  if (typeof value === 'number') return Number.isFinite(value) ? JSON.stringify(value) : undefined
  if (Array.isArray(value)) return joined(value.map(textOf), '[', ']')
  if (typeof value !== 'object' || ![Object.prototype, null].includes(Object.getPrototypeOf(value)))
    return undefined
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, member]) => {
      const text = textOf(member)
      return text === undefined ? undefined : `${JSON.stringify(name)}:${text}`
    })
  return joined(members, '{', '}')
}

function joined(parts: readonly (string | undefined)[], open: string, close: string): string | undefined {
  return parts.includes(undefined) ? undefined : `${open}${parts.join(',')}${close}`
}
