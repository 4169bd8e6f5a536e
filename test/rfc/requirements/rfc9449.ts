// RFC 9449, proof of possession: DPoP: what tests hold us to.
import type { Specification } from './specification.ts'

export const rfc9449 = {
  name: 'RFC 9449',
  title: 'proof of possession: DPoP',
  requirements: [
    {
      id: 'RFC9449-4.3-1',
      section: '4.3',
      level: 'MUST',
      text: 'More than one DPoP header is refused.',
      url: 'https://www.rfc-editor.org/rfc/rfc9449#section-4.3',
    },
    {
      id: 'RFC9449-4.3-2',
      section: '4.3',
      level: 'MUST',
      text: 'A proof of another type, algorithm, method or URI is refused.',
      url: 'https://www.rfc-editor.org/rfc/rfc9449#section-4.3',
    },
    {
      id: 'RFC9449-4.3-3',
      section: '4.3',
      level: 'MUST',
      text: 'A proof whose header carries a private key is refused.',
      url: 'https://www.rfc-editor.org/rfc/rfc9449#section-4.3',
    },
    {
      id: 'RFC9449-4.3-4',
      section: '4.3',
      level: 'MUST',
      text: 'A proof outside its window of time is refused.',
      url: 'https://www.rfc-editor.org/rfc/rfc9449#section-4.3',
    },
    {
      id: 'RFC9449-4.3-5',
      section: '4.3',
      level: 'MUST',
      text: 'A proof at a resource carries the hash of the token it is shown with.',
      url: 'https://www.rfc-editor.org/rfc/rfc9449#section-4.3',
    },
    {
      id: 'RFC9449-5-1',
      section: '5',
      level: 'MUST',
      text: 'A token obtained with a proof has the type DPoP and is bound to the key of the proof.',
      url: 'https://www.rfc-editor.org/rfc/rfc9449#section-5',
    },
    {
      id: 'RFC9449-7.1-1',
      section: '7.1',
      level: 'MUST',
      text: 'A bound token is refused without a proof, with a proof of another key, and as a bearer token.',
      url: 'https://www.rfc-editor.org/rfc/rfc9449#section-7.1',
    },
    {
      id: 'RFC9449-8-1',
      section: '8',
      level: 'MUST',
      text: 'Where a nonce is demanded, a proof without one is answered use_dpop_nonce with status 400 and a nonce.',
      url: 'https://www.rfc-editor.org/rfc/rfc9449#section-8',
    },
    {
      id: 'RFC9449-8-2',
      section: '8',
      level: 'MUST',
      text: 'A nonce that this server did not give, or long ago, is refused with use_dpop_nonce.',
      url: 'https://www.rfc-editor.org/rfc/rfc9449#section-8',
    },
    {
      id: 'RFC9449-8.2-1',
      section: '8.2',
      level: 'SHOULD',
      text: 'A successful answer to a request with a proof carries a nonce for the next one.',
      url: 'https://www.rfc-editor.org/rfc/rfc9449#section-8.2',
    },
    {
      id: 'RFC9449-11.1-1',
      section: '11.1',
      level: 'MUST',
      text: 'A proof is taken once, also under a race.',
      url: 'https://www.rfc-editor.org/rfc/rfc9449#section-11.1',
    },
  ],
} as const satisfies Specification
