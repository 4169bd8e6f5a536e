// RFC 7592: the client configuration endpoint. Requests in, registrations out; it never judges.
import {
  type Asked,
  type ConfigurationDeps,
  deleteRegistration,
  readRegistration,
  replaceRegistration,
} from '../admin/clients/configuration.ts'
import { readJson } from './body.ts'
import { type FaceDeps, json, type Route } from './route.ts'

const about = {
  path: '/register/:id',
  face: 'oauth',
  // A token that changes a registration is no business of a page.
  cors: false,
} as const

function askedOf(request: Request): Asked {
  const { pathname } = new URL(request.url)
  return {
    client: pathname.slice(pathname.lastIndexOf('/') + 1),
    authorization: request.headers.get('authorization') ?? undefined,
  }
}

const depsOf = (deps: FaceDeps): ConfigurationDeps => ({ ...deps, settings: deps.config, rules: deps.config })

const readRoute: Route = {
  ...about,
  name: 'registration',
  method: 'GET',
  handle: async (ctx, deps, request) => json(await readRegistration(ctx, depsOf(deps), askedOf(request))),
}

const replaceRoute: Route = {
  ...about,
  name: 'registration',
  method: 'PUT',
  async handle(ctx, deps, request) {
    const body = await readJson(request, deps.config.maxBodyBytes)
    return json(await replaceRegistration(ctx, depsOf(deps), askedOf(request), body))
  },
}

const deleteRoute: Route = {
  ...about,
  name: 'registration',
  method: 'DELETE',
  async handle(ctx, deps, request) {
    await deleteRegistration(ctx, depsOf(deps), askedOf(request))
    return new Response(null, { status: 204, headers: { 'cache-control': 'no-store' } })
  },
}

export const registrationRoutes: readonly Route[] = [readRoute, replaceRoute, deleteRoute]
