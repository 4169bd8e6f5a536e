// The network that a peer is counted as: whoever has one address of an IPv6 /64 has all of them (RFC 4291 §2.5.1).

/** The address, or the /64 of an IPv6 one in one spelling; `unknown` where there is no address. */
export function networkOf(peer: string | undefined): string {
  if (peer === undefined) return 'unknown'
  if (!peer.includes(':')) return peer
  const [before = '', after = ''] = peer.split('::')
  const head = before === '' ? [] : before.split(':')
  const tail = after === '' ? [] : after.split(':')
  const zeroes = peer.includes('::') ? Math.max(0, 8 - head.length - tail.length) : 0
  const groups = [...head, ...new Array<string>(zeroes).fill('0'), ...tail]
  return `${groups
    .slice(0, 4)
    .map(group => group.replace(/^0+(?=.)/, '').toLowerCase())
    .join(':')}::/64`
}
