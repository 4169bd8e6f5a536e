// Generated from docs/openapi.json by tools/openapi.ts; never edited. What each operation of the management API takes and answers, and where it is.

import type {
  Agent,
  AgentCreate,
  AgentUpdate,
  BlastRadius,
  Client,
  ClientCreate,
  ClientCreated,
  ClientRegistrationToken,
  ClientSecret,
  ClientSecretCreate,
  ClientSecretCreated,
  ClientUpdate,
  Enrollment,
  Event,
  Grant,
  GrantCreate,
  Instance,
  IssuerKey,
  Key,
  KeyCreate,
  Person,
  PersonCreate,
  PersonUpdate,
  Reason,
  Resource,
  ResourceCreate,
  ResourceUpdate,
  Rotation,
  RotationBatch,
  RotationBatchBegun,
  RotationCreate,
  Schedule,
  ScheduleCreate,
  ScheduleUpdate,
  Secret,
  SecretCreate,
  SecretLease,
  SecretUpdate,
  SecretVersion,
  SecretVersionCreate,
  Why,
} from './objects.ts'

export interface Operations {
  /** Create an agent; without a grant it can do nothing. */
  'agents.create': { readonly input: { readonly body: AgentCreate }; readonly answer: Agent }
  /** See an agent. */
  'agents.get': { readonly input: { readonly params: { readonly id: string } }; readonly answer: Agent }
  /** List agents in the order of their creation. */
  'agents.list': {
    readonly input: {
      readonly query?: {
        readonly limit?: string | number
        readonly after?: string | number
        readonly owner?: string | number
        readonly status?: 'active' | 'suspended' | 'retired'
        readonly name?: string | number
      }
    }
    readonly answer: {
      readonly items: readonly Agent[]
      readonly next: string | null
    }
  }
  /** Let a suspended agent obtain tokens again; the old ones stay dead. */
  'agents.resume': {
    readonly input: { readonly params: { readonly id: string }; readonly body: Reason }
    readonly answer: Agent
  }
  /** End an agent for ever; it stays resolvable for the audit. */
  'agents.retire': {
    readonly input: { readonly params: { readonly id: string }; readonly body: Reason }
    readonly answer: Agent
  }
  /** Stop an agent at once; every token of it is dead. */
  'agents.suspend': {
    readonly input: { readonly params: { readonly id: string }; readonly body: Reason }
    readonly answer: Agent
  }
  /** Change what is said about an agent; null clears a member. */
  'agents.update': {
    readonly input: { readonly params: { readonly id: string }; readonly body: AgentUpdate }
    readonly answer: Agent
  }
  /** Make the next secret of a client; the former works until nobody has used it for the drain window. One that was never used is replaced. */
  'client-secrets.create': {
    readonly input: { readonly params: { readonly id: string }; readonly body: ClientSecretCreate }
    readonly answer: ClientSecretCreated
  }
  /** List the secrets of a client with their states and last use, the oldest first. */
  'client-secrets.list': {
    readonly input: {
      readonly params: { readonly id: string }
      readonly query?: { readonly limit?: string | number; readonly after?: string | number }
    }
    readonly answer: {
      readonly items: readonly ClientSecret[]
      readonly next: string | null
    }
  }
  /** Revoke a secret at once; where its predecessor still drains, that one stays in use. */
  'client-secrets.revoke': {
    readonly input: { readonly params: { readonly id: string; readonly sid: string }; readonly body: Reason }
    readonly answer: ClientSecret
  }
  /** Register another OAuth client. */
  'clients.create': { readonly input: { readonly body: ClientCreate }; readonly answer: ClientCreated }
  /** Delete another OAuth client; its keys and secrets are revoked and its id is never used again. */
  'clients.delete': {
    readonly input: { readonly params: { readonly id: string } }
    readonly answer: undefined
  }
  /** See another OAuth client with its keys. */
  'clients.get': { readonly input: { readonly params: { readonly id: string } }; readonly answer: Client }
  /** List other OAuth clients in the order of their registration, without their keys. */
  'clients.list': {
    readonly input: {
      readonly query?: { readonly limit?: string | number; readonly after?: string | number }
    }
    readonly answer: {
      readonly items: readonly Client[]
      readonly next: string | null
    }
  }
  /** Replace the token by which a client manages its registration; the former is dead at once. */
  'clients.registration-token': {
    readonly input: { readonly params: { readonly id: string }; readonly body: Reason }
    readonly answer: ClientRegistrationToken
  }
  /** Let a suspended client act again. */
  'clients.resume': {
    readonly input: { readonly params: { readonly id: string }; readonly body: Reason }
    readonly answer: Client
  }
  /** Suspend another OAuth client at once. */
  'clients.suspend': {
    readonly input: { readonly params: { readonly id: string }; readonly body: Reason }
    readonly answer: Client
  }
  /** Change another OAuth client; a new jwks replaces its keys, and another way of authenticating ends its secrets. */
  'clients.update': {
    readonly input: { readonly params: { readonly id: string }; readonly body: ClientUpdate }
    readonly answer: Client
  }
  /** Make a single-use token by which one new instance enrols with its own key. */
  'enrollments.create': {
    readonly input: { readonly params: { readonly id: string } }
    readonly answer: Enrollment
  }
  /** See one entry of the audit log. */
  'events.get': { readonly input: { readonly params: { readonly id: string } }; readonly answer: Event }
  /** Read the audit log in its order. */
  'events.list': {
    readonly input: {
      readonly query?: {
        readonly agent?: string | number
        readonly person?: string | number
        readonly type?: string | number
        readonly request_id?: string | number
        readonly since?: string | number
        readonly until?: string | number
        readonly limit?: string | number
        readonly after?: string | number
      }
    }
    readonly answer: {
      readonly items: readonly Event[]
      readonly next: string | null
    }
  }
  /** See who answers for an entry of the audit log, what decided it, and the entries behind both. */
  'events.why': { readonly input: { readonly params: { readonly id: string } }; readonly answer: Why }
  /** Give an agent the right to ask for scopes of a resource. */
  'grants.create': { readonly input: { readonly body: GrantCreate }; readonly answer: Grant }
  /** Take a grant back at once, with every token that rests on it; the record stays for the audit. */
  'grants.delete': {
    readonly input: { readonly params: { readonly id: string } }
    readonly answer: undefined
  }
  /** See a grant. */
  'grants.get': { readonly input: { readonly params: { readonly id: string } }; readonly answer: Grant }
  /** List grants in the order in which they were given. */
  'grants.list': {
    readonly input: {
      readonly query?: {
        readonly limit?: string | number
        readonly after?: string | number
        readonly agent?: string | number
        readonly resource?: string | number
        readonly status?: 'active'
      }
    }
    readonly answer: {
      readonly items: readonly Grant[]
      readonly next: string | null
    }
  }
  /** List the instances of an agent, in the order in which they came. */
  'instances.list': {
    readonly input: {
      readonly params: { readonly id: string }
      readonly query?: { readonly limit?: string | number; readonly after?: string | number }
    }
    readonly answer: {
      readonly items: readonly Instance[]
      readonly next: string | null
    }
  }
  /** List the keys that sign tokens, with their states and instants, oldest first. */
  'issuer-keys.list': {
    readonly input: object
    readonly answer: {
      readonly items: readonly IssuerKey[]
      readonly next: string | null
    }
  }
  /** Stage a successor: published at once, signing after the publication time, its predecessor retired then. */
  'issuer-keys.rotate': { readonly input: object; readonly answer: IssuerKey }
  /** Register a public key; it makes a new instance of the agent. */
  'keys.create': {
    readonly input: { readonly params: { readonly id: string }; readonly body: KeyCreate }
    readonly answer: Key
  }
  /** See a key of an agent. */
  'keys.get': {
    readonly input: { readonly params: { readonly id: string; readonly kid: string } }
    readonly answer: Key
  }
  /** List the keys of an agent with their states and last use, in the order in which they were registered. */
  'keys.list': {
    readonly input: {
      readonly params: { readonly id: string }
      readonly query?: { readonly limit?: string | number; readonly after?: string | number }
    }
    readonly answer: {
      readonly items: readonly Key[]
      readonly next: string | null
    }
  }
  /** Revoke a key at once, with every token that was obtained by it or is bound to it. */
  'keys.revoke': {
    readonly input: { readonly params: { readonly id: string; readonly kid: string }; readonly body: Reason }
    readonly answer: Key
  }
  /** Create a person. */
  'people.create': { readonly input: { readonly body: PersonCreate }; readonly answer: Person }
  /** Delete a person who owns no agent that lives. */
  'people.delete': {
    readonly input: { readonly params: { readonly id: string } }
    readonly answer: undefined
  }
  /** See a person. */
  'people.get': { readonly input: { readonly params: { readonly id: string } }; readonly answer: Person }
  /** List people in the order of their creation. */
  'people.list': {
    readonly input: {
      readonly query?: {
        readonly limit?: string | number
        readonly after?: string | number
        readonly login?: string | number
      }
    }
    readonly answer: {
      readonly items: readonly Person[]
      readonly next: string | null
    }
  }
  /** Let a suspended person act again. */
  'people.resume': {
    readonly input: { readonly params: { readonly id: string }; readonly body: Reason }
    readonly answer: Person
  }
  /** Suspend a person; no new agent can be theirs. */
  'people.suspend': {
    readonly input: { readonly params: { readonly id: string }; readonly body: Reason }
    readonly answer: Person
  }
  /** Change a person; null clears a member. */
  'people.update': {
    readonly input: { readonly params: { readonly id: string }; readonly body: PersonUpdate }
    readonly answer: Person
  }
  /** Register a protected resource with its scopes. */
  'resources.create': { readonly input: { readonly body: ResourceCreate }; readonly answer: Resource }
  /** Delete a protected resource with its grants; the tokens for it are dead. */
  'resources.delete': {
    readonly input: { readonly params: { readonly id: string } }
    readonly answer: undefined
  }
  /** See a protected resource. */
  'resources.get': { readonly input: { readonly params: { readonly id: string } }; readonly answer: Resource }
  /** List protected resources in the order of their registration. */
  'resources.list': {
    readonly input: {
      readonly query?: {
        readonly limit?: string | number
        readonly after?: string | number
        readonly identifier?: string | number
      }
    }
    readonly answer: {
      readonly items: readonly Resource[]
      readonly next: string | null
    }
  }
  /** Change a protected resource; removing a scope ends the tokens for it. */
  'resources.update': {
    readonly input: { readonly params: { readonly id: string }; readonly body: ResourceUpdate }
    readonly answer: Resource
  }
  /** Begin rotations of every target of a kind, a page at a time: ask again with `after` until `next` is null. */
  'rotations.batch': { readonly input: { readonly body: RotationBatch }; readonly answer: RotationBatchBegun }
  /** See what the old version could reach, and what its holders did with it since an instant. */
  'rotations.blast-radius': {
    readonly input: {
      readonly params: { readonly id: string }
      readonly query?: {
        readonly since?: string | number
        readonly limit?: string | number
        readonly after?: string | number
      }
    }
    readonly answer: BlastRadius
  }
  /** Give the successor up while it is not in use; the old version stays. */
  'rotations.cancel': {
    readonly input: {
      readonly params: { readonly id: string }
      readonly body: {
        /** Why; kept in the audit log */
        readonly reason: string
      }
    }
    readonly answer: Rotation
  }
  /** Begin a rotation; an emergency cuts the old version at once. */
  'rotations.create': { readonly input: { readonly body: RotationCreate }; readonly answer: Rotation }
  /** End the old version although it is not proven unused: whoever still uses it fails. */
  'rotations.force': {
    readonly input: {
      readonly params: { readonly id: string }
      readonly body: {
        /** Why; kept in the audit log */
        readonly reason: string
      }
    }
    readonly answer: Rotation
  }
  /** See one rotation, with who still uses the old version, from where and since when. */
  'rotations.get': { readonly input: { readonly params: { readonly id: string } }; readonly answer: Rotation }
  /** List rotations, the oldest first; the drain of each is shown with the single one. */
  'rotations.list': {
    readonly input: {
      readonly query?: {
        readonly limit?: string | number
        readonly after?: string | number
        readonly kind?: 'instance_key' | 'issuer_key' | 'root_key' | 'tenant_key' | 'secret' | 'client_secret'
        readonly target?: string | number
        readonly state?: 'staged' | 'active' | 'retiring' | 'retired' | 'blocked' | 'failed'
        readonly batch?: string | number
      }
    }
    readonly answer: {
      readonly items: readonly Rotation[]
      readonly next: string | null
    }
  }
  /** Look at it again now, for example after the upstream was mended. */
  'rotations.retry': {
    readonly input: {
      readonly params: { readonly id: string }
      readonly body: {
        /** Why; kept in the audit log */
        readonly reason: string
      }
    }
    readonly answer: Rotation
  }
  /** Rotate by a cron expression or a maximum age, from now on. */
  'schedules.create': { readonly input: { readonly body: ScheduleCreate }; readonly answer: Schedule }
  /** End a schedule; rotations that it began go on. */
  'schedules.delete': {
    readonly input: { readonly params: { readonly id: string } }
    readonly answer: undefined
  }
  /** See one schedule. */
  'schedules.get': { readonly input: { readonly params: { readonly id: string } }; readonly answer: Schedule }
  /** List schedules of rotations, the oldest first. */
  'schedules.list': {
    readonly input: {
      readonly query?: {
        readonly limit?: string | number
        readonly after?: string | number
        readonly kind?: 'instance_key' | 'issuer_key' | 'root_key' | 'tenant_key' | 'secret' | 'client_secret'
      }
    }
    readonly answer: {
      readonly items: readonly Schedule[]
      readonly next: string | null
    }
  }
  /** Change its rhythm, or suspend and resume it. */
  'schedules.update': {
    readonly input: { readonly params: { readonly id: string }; readonly body: ScheduleUpdate }
    readonly answer: Schedule
  }
  /** List the leases of a secret in the order in which they were given; never a value. */
  'secret-leases.list': {
    readonly input: {
      readonly params: { readonly id: string }
      readonly query?: {
        readonly limit?: string | number
        readonly after?: string | number
        readonly agent?: string | number
      }
    }
    readonly answer: {
      readonly items: readonly SecretLease[]
      readonly next: string | null
    }
  }
  /** End a lease before its time: what was made for it is withdrawn upstream within seconds. */
  'secret-leases.revoke': {
    readonly input: {
      readonly params: { readonly id: string; readonly lease: string }
      readonly body: Reason
    }
    readonly answer: SecretLease
  }
  /** Give the next version of a secret: it is in use at once, and the former drains. */
  'secret-versions.create': {
    readonly input: { readonly params: { readonly id: string }; readonly body: SecretVersionCreate }
    readonly answer: SecretVersion
  }
  /** List the versions of a secret with their states and last use, the oldest first; never a value. */
  'secret-versions.list': {
    readonly input: {
      readonly params: { readonly id: string }
      readonly query?: { readonly limit?: string | number; readonly after?: string | number }
    }
    readonly answer: {
      readonly items: readonly SecretVersion[]
      readonly next: string | null
    }
  }
  /** Put a secret into the vault; a rotator makes the first version of one that comes without a value. */
  'secrets.create': { readonly input: { readonly body: SecretCreate }; readonly answer: Secret }
  /** See what is known of a secret, except its value. */
  'secrets.get': { readonly input: { readonly params: { readonly id: string } }; readonly answer: Secret }
  /** List the secrets of the vault, without their values, in the order in which they came. */
  'secrets.list': {
    readonly input: {
      readonly query?: {
        readonly limit?: string | number
        readonly after?: string | number
        readonly owner?: string | number
      }
    }
    readonly answer: {
      readonly items: readonly Secret[]
      readonly next: string | null
    }
  }
  /** End a secret for ever: its grants, versions and leases end with it, and nothing of it can be opened. */
  'secrets.retire': {
    readonly input: { readonly params: { readonly id: string }; readonly body: Reason }
    readonly answer: Secret
  }
  /** Change a secret; whoever is no consumer any more is given nothing from that instant on. */
  'secrets.update': {
    readonly input: { readonly params: { readonly id: string }; readonly body: SecretUpdate }
    readonly answer: Secret
  }
}

export const operations = {
  'agents.create': { method: 'POST', path: '/agents' },
  'agents.get': { method: 'GET', path: '/agents/{id}' },
  'agents.list': { method: 'GET', path: '/agents' },
  'agents.resume': { method: 'POST', path: '/agents/{id}/resume' },
  'agents.retire': { method: 'POST', path: '/agents/{id}/retire' },
  'agents.suspend': { method: 'POST', path: '/agents/{id}/suspend' },
  'agents.update': { method: 'PATCH', path: '/agents/{id}' },
  'client-secrets.create': { method: 'POST', path: '/clients/{id}/secrets' },
  'client-secrets.list': { method: 'GET', path: '/clients/{id}/secrets' },
  'client-secrets.revoke': { method: 'POST', path: '/clients/{id}/secrets/{sid}/revoke' },
  'clients.create': { method: 'POST', path: '/clients' },
  'clients.delete': { method: 'DELETE', path: '/clients/{id}' },
  'clients.get': { method: 'GET', path: '/clients/{id}' },
  'clients.list': { method: 'GET', path: '/clients' },
  'clients.registration-token': { method: 'POST', path: '/clients/{id}/registration-token' },
  'clients.resume': { method: 'POST', path: '/clients/{id}/resume' },
  'clients.suspend': { method: 'POST', path: '/clients/{id}/suspend' },
  'clients.update': { method: 'PATCH', path: '/clients/{id}' },
  'enrollments.create': { method: 'POST', path: '/agents/{id}/enrollments' },
  'events.get': { method: 'GET', path: '/events/{id}' },
  'events.list': { method: 'GET', path: '/events' },
  'events.why': { method: 'GET', path: '/events/{id}/why' },
  'grants.create': { method: 'POST', path: '/grants' },
  'grants.delete': { method: 'DELETE', path: '/grants/{id}' },
  'grants.get': { method: 'GET', path: '/grants/{id}' },
  'grants.list': { method: 'GET', path: '/grants' },
  'instances.list': { method: 'GET', path: '/agents/{id}/instances' },
  'issuer-keys.list': { method: 'GET', path: '/issuer/keys' },
  'issuer-keys.rotate': { method: 'POST', path: '/issuer/keys/rotate' },
  'keys.create': { method: 'POST', path: '/agents/{id}/keys' },
  'keys.get': { method: 'GET', path: '/agents/{id}/keys/{kid}' },
  'keys.list': { method: 'GET', path: '/agents/{id}/keys' },
  'keys.revoke': { method: 'POST', path: '/agents/{id}/keys/{kid}/revoke' },
  'people.create': { method: 'POST', path: '/people' },
  'people.delete': { method: 'DELETE', path: '/people/{id}' },
  'people.get': { method: 'GET', path: '/people/{id}' },
  'people.list': { method: 'GET', path: '/people' },
  'people.resume': { method: 'POST', path: '/people/{id}/resume' },
  'people.suspend': { method: 'POST', path: '/people/{id}/suspend' },
  'people.update': { method: 'PATCH', path: '/people/{id}' },
  'resources.create': { method: 'POST', path: '/resources' },
  'resources.delete': { method: 'DELETE', path: '/resources/{id}' },
  'resources.get': { method: 'GET', path: '/resources/{id}' },
  'resources.list': { method: 'GET', path: '/resources' },
  'resources.update': { method: 'PATCH', path: '/resources/{id}' },
  'rotations.batch': { method: 'POST', path: '/rotations/batch' },
  'rotations.blast-radius': { method: 'GET', path: '/rotations/{id}/blast-radius' },
  'rotations.cancel': { method: 'POST', path: '/rotations/{id}/cancel' },
  'rotations.create': { method: 'POST', path: '/rotations' },
  'rotations.force': { method: 'POST', path: '/rotations/{id}/force' },
  'rotations.get': { method: 'GET', path: '/rotations/{id}' },
  'rotations.list': { method: 'GET', path: '/rotations' },
  'rotations.retry': { method: 'POST', path: '/rotations/{id}/retry' },
  'schedules.create': { method: 'POST', path: '/schedules' },
  'schedules.delete': { method: 'DELETE', path: '/schedules/{id}' },
  'schedules.get': { method: 'GET', path: '/schedules/{id}' },
  'schedules.list': { method: 'GET', path: '/schedules' },
  'schedules.update': { method: 'PATCH', path: '/schedules/{id}' },
  'secret-leases.list': { method: 'GET', path: '/secrets/{id}/leases' },
  'secret-leases.revoke': { method: 'POST', path: '/secrets/{id}/leases/{lease}/revoke' },
  'secret-versions.create': { method: 'POST', path: '/secrets/{id}/versions' },
  'secret-versions.list': { method: 'GET', path: '/secrets/{id}/versions' },
  'secrets.create': { method: 'POST', path: '/secrets' },
  'secrets.get': { method: 'GET', path: '/secrets/{id}' },
  'secrets.list': { method: 'GET', path: '/secrets' },
  'secrets.retire': { method: 'POST', path: '/secrets/{id}/retire' },
  'secrets.update': { method: 'PATCH', path: '/secrets/{id}' },
} as const satisfies Readonly<Record<keyof Operations, { readonly method: string; readonly path: string }>>
