// RFC 9396, rich authorization requests: what tests hold us to. There is no authorization endpoint yet.
import type { Specification } from './specification.ts'

export const rfc9396 = {
  name: 'RFC 9396',
  title: 'rich authorization requests',
  requirements: [
    {
      id: 'RFC9396-2-1',
      section: '2',
      level: 'MUST',
      text: 'authorization_details is a JSON array of objects with a type; several may be of one type.',
      url: 'https://www.rfc-editor.org/rfc/rfc9396#section-2',
    },
    {
      id: 'RFC9396-3.1-1',
      section: '3.1',
      level: 'MUST',
      text: 'Details and scope of one request are both taken into account: the token carries both, and no more of either.',
      url: 'https://www.rfc-editor.org/rfc/rfc9396#section-3.1',
    },
    {
      id: 'RFC9396-5-1',
      section: '5',
      level: 'MUST',
      text: 'An unknown type, an unknown or missing member or a wrong value is refused as invalid_authorization_details.',
      url: 'https://www.rfc-editor.org/rfc/rfc9396#section-5',
    },
    {
      id: 'RFC9396-6-1',
      section: '6',
      level: 'MUST',
      text: 'Details of a token request are contained in those that were granted, by the comparison of their type.',
      url: 'https://www.rfc-editor.org/rfc/rfc9396#section-6',
    },
    {
      id: 'RFC9396-7-1',
      section: '7',
      level: 'MUST',
      text: 'The token response has the details as they were granted, also where the request named none.',
      url: 'https://www.rfc-editor.org/rfc/rfc9396#section-7',
    },
    {
      id: 'RFC9396-9.1-1',
      section: '9.1',
      level: 'MUST',
      text: 'A JWT access token has the details in the claim authorization_details, those of its audience alone.',
      url: 'https://www.rfc-editor.org/rfc/rfc9396#section-9.1',
    },
    {
      id: 'RFC9396-9.2-1',
      section: '9.2',
      level: 'MUST',
      text: 'Introspection answers the details of the token.',
      url: 'https://www.rfc-editor.org/rfc/rfc9396#section-9.2',
    },
    {
      id: 'RFC9396-10-1',
      section: '10',
      level: 'SHOULD',
      text: 'The server publishes authorization_details_types_supported, and clients register authorization_details_types.',
      url: 'https://www.rfc-editor.org/rfc/rfc9396#section-10',
    },
  ],
} as const satisfies Specification
