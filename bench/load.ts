// Load from this process on a server in another: requests made ahead, sent over kept connections, on loopback only.
import { connect, type Socket } from 'node:net'

export interface Load {
  readonly answered: number
  readonly failed: number
  readonly seconds: number
  /** Milliseconds from the first byte sent to the last byte read, per request. */
  readonly latencies: readonly number[]
}

/** A request as the bytes that go over the wire. */
export function requestBytes(
  port: number,
  path: string,
  headers: Record<string, string>,
  body: string,
): Buffer {
  const lines = [
    `POST ${path} HTTP/1.1`,
    `host: 127.0.0.1:${port}`,
    `content-length: ${Buffer.byteLength(body)}`,
  ]
  for (const [name, value] of Object.entries(headers)) lines.push(`${name}: ${value}`)
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n${body}`)
}

/** Sends all requests over so many connections, each with one request under way at a time. */
export async function send(port: number, requests: readonly Buffer[], connections: number): Promise<Load> {
  const latencies: number[] = []
  let next = 0
  let failed = 0
  const started = performance.now()
  const worker = async (): Promise<void> => {
    const line = await open(port)
    for (let at = next++; at < requests.length; at = next++) {
      const sent = performance.now()
      const status = await line.ask(requests[at] as Buffer)
      latencies.push(performance.now() - sent)
      if (status !== 200) failed++
    }
    line.close()
  }
  await Promise.all(Array.from({ length: connections }, worker))
  return { answered: requests.length, failed, seconds: (performance.now() - started) / 1000, latencies }
}

interface Line {
  ask(request: Buffer): Promise<number>
  close(): void
}

async function open(port: number): Promise<Line> {
  const socket: Socket = connect({ port, host: '127.0.0.1', noDelay: true })
  await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject))
  let text = ''
  let waiting: { resolve(status: number): void; reject(error: Error): void } | undefined
  socket.on('data', chunk => {
    text += chunk.toString('latin1')
    if (!isWhole(text)) return
    const status = Number(text.slice(9, 12))
    text = ''
    waiting?.resolve(status)
  })
  socket.on('error', error => waiting?.reject(error))
  socket.on('close', () => waiting?.reject(new Error('the server closed the connection')))
  return {
    ask: request =>
      new Promise((resolve, reject) => {
        waiting = { resolve, reject }
        socket.write(request)
      }),
    close: () => socket.destroy(),
  }
}

function isWhole(text: string): boolean {
  const end = text.indexOf('\r\n\r\n')
  if (end < 0) return false
  const length = /\r\ncontent-length: (\d+)/i.exec(text)?.[1]
  return length === undefined ? text.endsWith('\r\n0\r\n\r\n') : text.length >= end + 4 + Number(length)
}
