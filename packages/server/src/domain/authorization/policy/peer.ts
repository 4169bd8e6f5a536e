// The address a call came from, in the one spelling that policies compare (RFC 4291 §2.2, §2.5.5.2).

/**
 * The text of one address; undefined where it is none. One of IPv4 within IPv6 is that of IPv4, however it is written:
 * a list of forbidden networks must not be passed by another spelling. A network is not an address: nobody calls from one.
 */
export function peerAddress(text: string): string | undefined {
  if (!/^[0-9A-Fa-f.:]{2,45}$/.test(text)) return undefined
  if (!text.includes(':')) return text
  const groups = groupsOf(text)
  const [high = 0, low = 0] = groups.slice(6)
  const isMapped = groups.length === 8 && groups.slice(0, 6).join() === '0,0,0,0,0,65535'
  return isMapped ? [high >> 8, high & 255, low >> 8, low & 255].join('.') : text
}

/** The eight groups; another number of them where the text is no address, which the engine then refuses. */
function groupsOf(text: string): readonly number[] {
  const [before = '', after] = text.split('::')
  const head = partOf(before)
  if (after === undefined) return head
  const tail = partOf(after)
  return [...head, ...Array.from({ length: Math.max(0, 8 - head.length - tail.length) }, () => 0), ...tail]
}

function partOf(text: string): readonly number[] {
  if (text === '') return []
  return text.split(':').flatMap(group => {
    if (!group.includes('.')) return [Number.parseInt(group, 16)]
    const [a = 0, b = 0, c = 0, d = 0] = group.split('.').map(Number)
    return [(a << 8) | b, (c << 8) | d]
  })
}
