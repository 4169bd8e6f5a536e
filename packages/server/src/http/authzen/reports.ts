// Where resources report the decisions that they gave again from memory: one signed batch a request.
import { Fault } from '@writ/sdk/protocol/fault'
import { managementIdentifier } from '../../admin/access.ts'
import { takeReport } from '../../decision/reported.ts'
import { authenticate, type VerifiedTokens } from '../../protocol/access.ts'
import { readJson } from '../body.ts'
import { singleProof } from '../oauth.ts'
import { json, published, type Route } from '../route.ts'

const mostBytes = 256 * 1024

export function decisionReportsRoute({ verifiedTokens }: { readonly verifiedTokens: VerifiedTokens }): Route {
  return {
    name: 'decision-reports',
    method: 'POST',
    path: '/access/v1/reports',
    face: 'problem',
    cors: false,
    async handle(ctx, deps, request) {
      const evidence = {
        authorization: request.headers.get('authorization') ?? undefined,
        dpop: singleProof(request),
        method: request.method,
        uri: published(ctx.issuer, this.path),
      }
      const caller = await authenticate(ctx, { ...deps, verifiedTokens }, evidence, managementIdentifier(ctx))
      const read = async (): Promise<unknown> => {
        const { report, ...others } = await readJson(request, mostBytes)
        if (Object.keys(others).length > 0)
          throw new Fault('invalid_request', 'The body has report and nothing else.', {
            kind: 'unknown_member',
          })
        return report
      }
      const { taken, isRepeated } = await takeReport(ctx, deps, { caller, read })
      return json({ taken, repeated: isRepeated })
    },
  }
}
