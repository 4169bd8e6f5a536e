// Every specification whose requirements are written down: one import and one entry each.
import { arap } from './arap.ts'
import { authzen } from './authzen.ts'
import { rfc6749 } from './rfc6749.ts'
import { rfc6750 } from './rfc6750.ts'
import { rfc7009 } from './rfc7009.ts'
import { rfc7523 } from './rfc7523.ts'
import { rfc7591 } from './rfc7591.ts'
import { rfc7592 } from './rfc7592.ts'
import { rfc7662 } from './rfc7662.ts'
import { rfc8414 } from './rfc8414.ts'
import { rfc8707 } from './rfc8707.ts'
import { rfc9068 } from './rfc9068.ts'
import { rfc9396 } from './rfc9396.ts'
import { rfc9449 } from './rfc9449.ts'

export const specifications = [
  rfc6749,
  rfc6750,
  rfc7009,
  rfc7523,
  rfc7591,
  rfc7592,
  rfc7662,
  rfc8414,
  rfc8707,
  rfc9068,
  rfc9396,
  rfc9449,
  authzen,
  arap,
] as const

/** The id of a requirement that exists; a misspelt one does not compile. */
export type RequirementId = (typeof specifications)[number]['requirements'][number]['id']
