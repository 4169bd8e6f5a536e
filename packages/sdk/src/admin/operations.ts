// Generated from docs/openapi.json by tools/openapi.ts; never edited. Every operation of the management API, and where it is.

import type { ActivationsOperations } from './operations/activations.ts'
import type { AgentsOperations } from './operations/agents.ts'
import type { ApprovalsOperations } from './operations/approvals.ts'
import type { ClientsOperations } from './operations/clients.ts'
import type { EligibilitiesOperations } from './operations/eligibilities.ts'
import type { EnforcementPointsOperations } from './operations/enforcement-points.ts'
import type { EventsOperations } from './operations/events.ts'
import type { GrantsOperations } from './operations/grants.ts'
import type { HaltsOperations } from './operations/halts.ts'
import type { IssuerOperations } from './operations/issuer.ts'
import type { PeopleOperations } from './operations/people.ts'
import type { ResourcesOperations } from './operations/resources.ts'
import type { RisksOperations } from './operations/risks.ts'
import type { RotationsOperations } from './operations/rotations.ts'
import type { SchedulesOperations } from './operations/schedules.ts'
import type { SecretsOperations } from './operations/secrets.ts'
import type { SessionsOperations } from './operations/sessions.ts'
import type { WhyNotOperations } from './operations/why-not.ts'

export interface Operations
  extends ActivationsOperations,
    AgentsOperations,
    ApprovalsOperations,
    ClientsOperations,
    EligibilitiesOperations,
    EnforcementPointsOperations,
    EventsOperations,
    GrantsOperations,
    HaltsOperations,
    IssuerOperations,
    PeopleOperations,
    ResourcesOperations,
    RisksOperations,
    RotationsOperations,
    SchedulesOperations,
    SecretsOperations,
    SessionsOperations,
    WhyNotOperations {}

export const operations = {
  'activations.create': { method: 'POST', path: '/activations' },
  'agents.create': { method: 'POST', path: '/agents' },
  'agents.get': { method: 'GET', path: '/agents/{id}' },
  'agents.list': { method: 'GET', path: '/agents' },
  'agents.resume': { method: 'POST', path: '/agents/{id}/resume' },
  'agents.retire': { method: 'POST', path: '/agents/{id}/retire' },
  'agents.suspend': { method: 'POST', path: '/agents/{id}/suspend' },
  'agents.update': { method: 'PATCH', path: '/agents/{id}' },
  'approvals.approve': { method: 'POST', path: '/approvals/{id}/approve' },
  'approvals.cancel': { method: 'POST', path: '/approvals/{id}/cancel' },
  'approvals.deny': { method: 'POST', path: '/approvals/{id}/deny' },
  'approvals.get': { method: 'GET', path: '/approvals/{id}' },
  'approvals.list': { method: 'GET', path: '/approvals' },
  'approvals.review': { method: 'POST', path: '/approvals/{id}/review' },
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
  'decisions.why-not': { method: 'POST', path: '/why-not' },
  'eligibilities.create': { method: 'POST', path: '/eligibilities' },
  'eligibilities.get': { method: 'GET', path: '/eligibilities/{id}' },
  'eligibilities.list': { method: 'GET', path: '/eligibilities' },
  'eligibilities.revoke': { method: 'POST', path: '/eligibilities/{id}/revoke' },
  'enforcement-points.list': { method: 'GET', path: '/enforcement-points' },
  'enrollments.create': { method: 'POST', path: '/agents/{id}/enrollments' },
  'events.get': { method: 'GET', path: '/events/{id}' },
  'events.list': { method: 'GET', path: '/events' },
  'events.why': { method: 'GET', path: '/events/{id}/why' },
  'grants.create': { method: 'POST', path: '/grants' },
  'grants.delete': { method: 'DELETE', path: '/grants/{id}' },
  'grants.get': { method: 'GET', path: '/grants/{id}' },
  'grants.list': { method: 'GET', path: '/grants' },
  'halts.create': { method: 'POST', path: '/halts' },
  'halts.get': { method: 'GET', path: '/halts/{id}' },
  'halts.lift': { method: 'POST', path: '/halts/{id}/lift' },
  'halts.list': { method: 'GET', path: '/halts' },
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
  'risks.list': { method: 'GET', path: '/risks' },
  'risks.report': { method: 'POST', path: '/risks' },
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
  'sessions.end': { method: 'POST', path: '/sessions/{id}/end' },
  'sessions.get': { method: 'GET', path: '/sessions/{id}' },
  'sessions.list': { method: 'GET', path: '/sessions' },
} as const satisfies Readonly<Record<keyof Operations, { readonly method: string; readonly path: string }>>
