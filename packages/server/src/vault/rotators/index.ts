// Every rotator: to add one, add its file and a line here.
import { http } from './http.ts'
import { oauthClient } from './oauth-client.ts'
import { postgresDynamic } from './postgres-dynamic.ts'
import { postgresRole } from './postgres-role.ts'
import { redisAcl } from './redis-acl.ts'
import type { AnyRotator } from './rotator.ts'

export const rotators: readonly AnyRotator[] = [http, oauthClient, postgresDynamic, postgresRole, redisAcl]
