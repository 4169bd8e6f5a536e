// Every rotator: to add one, add its file and a line here.
import { http } from './http.ts'
import { oauthClient } from './oauth-client.ts'
import { redisAcl } from './redis-acl.ts'
import type { AnyRotator } from './rotator.ts'

export const rotators: readonly AnyRotator[] = [http, oauthClient, redisAcl]
