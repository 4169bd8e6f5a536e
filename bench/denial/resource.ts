// A protected resource as a process of its own: one route, which answers whoever is admitted. Says when it is ready.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { protect } from '@writ/sdk/resource/express'
import express from 'express'

const [issuer = '', resource = ''] = process.argv.slice(2)
const app = express()
// Its own address in place of the resource's: what callers prove is the resource's address, under which it stands.
const guard = protect({ issuer, resource, onTrouble: problem => console.error(String(problem)) })
app.use(guard)
app.get('/', (_request, response) => void response.json({}))
const server = createServer(app).listen(0, '127.0.0.1')
await guard.verifier.ready()
console.log(`ready ${(server.address() as AddressInfo).port}`)
