// Where outcomes may be told (AuthZEN access request profile, "Callback Completion"; RFC 6890): never to an address inside.
import { BlockList, isIP } from 'node:net'

/** RFC 6890 and its successors: whatever is no address of the public internet. */
const inside = new BlockList()
for (const [net, bits] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 3],
] as const)
  inside.addSubnet(net, bits, 'ipv4')
/** RFC 4291 §2.4: of IPv6 only these are global; of them, these are not. */
const global6 = new BlockList()
global6.addSubnet('2000::', 3, 'ipv6')
const special6 = new BlockList()
for (const [net, bits] of [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
] as const)
  special6.addSubnet(net, bits, 'ipv6')

/** Whether an address is one of the public internet. An IPv4 address in IPv6 clothing is none: nobody needs it there. */
export function isPublicAddress(address: string): boolean {
  const family = isIP(address)
  if (family === 4) return !inside.check(address, 'ipv4')
  return family === 6 && global6.check(address, 'ipv6') && !special6.check(address, 'ipv6')
}

const loopbackNames: ReadonlySet<string> = new Set(['127.0.0.1', '[::1]', 'localhost'])

/** Whether the host of a URL is this machine. */
export function isLoopbackHost(hostname: string): boolean {
  return loopbackNames.has(hostname)
}

export interface Site {
  readonly issuer: string
  /** The resource that the request is about: its owner registered its origin, and nobody has to allow another one. */
  readonly resource: string
}

const longest = 2048

/**
 * What is wrong with a callback endpoint, undefined where nothing is. It has the origin of the resource in question
 * over https; or it is on this machine, where the authority itself is nowhere else. A name is judged again by the
 * addresses it has when it is called.
 */
export function callbackProblem(endpoint: string, { issuer, resource }: Site): string | undefined {
  const url = endpoint.length > longest || !URL.canParse(endpoint) ? undefined : new URL(endpoint)
  if (url === undefined || url.href !== endpoint || url.username !== '' || url.hash !== '')
    return 'must be a URL in its canonical form, without user and fragment'
  if (isLoopbackHost(url.hostname))
    return isLoopbackHost(new URL(issuer).hostname) && /^https?:$/.test(url.protocol)
      ? undefined
      : 'must not lead back into this machine'
  if (url.protocol !== 'https:') return 'must be an https URL'
  const bare = url.hostname.replace(/^\[(.*)\]$/, '$1')
  if (isIP(bare) !== 0 && !isPublicAddress(bare)) return 'must not lead to a private address'
  const origin = URL.canParse(resource) ? new URL(resource).origin : undefined
  return url.origin === origin ? undefined : 'must have the origin of the resource it is about'
}
