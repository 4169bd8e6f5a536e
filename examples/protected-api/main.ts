// An API that knows who calls: one middleware verifies, one word on a route says which scope it needs.
import type { AddressInfo } from 'node:net'
import { protect, require } from '@writ/sdk/resource/express'
import express from 'express'

const issuer = process.env['WRIT_ISSUER']
if (!issuer) {
  console.error('protected-api: set WRIT_ISSUER')
  process.exit(2)
}
const app = express()
const server = app.listen(Number(process.env['PORT'] ?? 0), '127.0.0.1')
await new Promise(resolve => server.once('listening', resolve))
const resource = process.env['RESOURCE'] ?? `http://127.0.0.1:${(server.address() as AddressInfo).port}`

const guard = protect({ issuer, resource, name: 'Reports', scopes: ['reports:read'] })
app.use(guard)
app.get('/reports', require('reports:read'), (req, res) => {
  res.json({ reports: ['2026-10', '2026-11'], readBy: req.caller?.agent, instance: req.caller?.instance })
})
await guard.verifier.ready()
console.log(`protected-api: ready ${resource}`)
