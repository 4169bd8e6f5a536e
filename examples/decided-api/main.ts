// An API that has each request decided as it is made: by who calls, from where, when, and what of a budget is left.
import type { AddressInfo } from 'node:net'
import { Agent } from '@writ/sdk/agent'
import { permit, protect } from '@writ/sdk/resource/express'
import express from 'express'

// The API is an agent itself, with a grant for decisions. It enrols on its first start, with what WRIT_ENROLLMENT holds.
const agent = await Agent.load()
const app = express()
const server = app.listen(Number(process.env['PORT'] ?? 0), '127.0.0.1')
await new Promise(resolve => server.once('listening', resolve))
const resource = process.env['RESOURCE'] ?? `http://127.0.0.1:${(server.address() as AddressInfo).port}`

const guard = protect({
  issuer: agent.issuer,
  resource,
  name: 'Shop',
  scopes: ['orders:read', 'orders:refund', 'orders:ship'],
  decisions: { agent },
})
/** What is done, and from where as our own socket saw it; a header would say whatever its sender likes. */
const deciding = (action: string) =>
  permit(req => {
    const peer = req.socket.remoteAddress
    return { action, ...(peer === undefined ? {} : { peer }) }
  })
app.use(guard)
app.get('/orders', deciding('orders:read'), (_req, res) => {
  res.json({ orders: [17, 18] })
})
app.post('/refunds', deciding('orders:refund'), (_req, res) => {
  res.json({ refunded: 17 })
})
app.post('/parcels', deciding('orders:ship'), (_req, res) => {
  res.json({ shipped: 18 })
})
await guard.verifier.ready()
console.log(`decided-api: ready ${resource}`)
