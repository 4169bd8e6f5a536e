// RFC 9068, JWT access tokens: what tests hold us to.
import type { Specification } from './specification.ts'

export const rfc9068 = {
  name: 'RFC 9068',
  title: 'JWT access tokens',
  requirements: [
    {
      id: 'RFC9068-2.1-1',
      section: '2.1',
      level: 'MUST',
      text: 'The token is signed, never with none, and typed at+jwt.',
      url: 'https://www.rfc-editor.org/rfc/rfc9068#section-2.1',
    },
    {
      id: 'RFC9068-2.2-1',
      section: '2.2',
      level: 'MUST',
      text: 'The token carries iss, exp, aud, sub, client_id, iat and jti; an agent is its own subject.',
      url: 'https://www.rfc-editor.org/rfc/rfc9068#section-2.2',
    },
    {
      id: 'RFC9068-4-1',
      section: '4',
      level: 'MUST',
      text: 'The key of the token is in the JWK Set under its kid.',
      url: 'https://www.rfc-editor.org/rfc/rfc9068#section-4',
    },
  ],
} as const satisfies Specification
