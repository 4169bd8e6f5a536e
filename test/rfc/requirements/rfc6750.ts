// RFC 6750, bearer token usage: the parts that still hold for sender-constrained tokens, its error codes first.
import type { Specification } from './specification.ts'

export const rfc6750 = {
  name: 'RFC 6750',
  title: 'OAuth 2.0 bearer token usage',
  requirements: [
    {
      id: 'RFC6750-3.1-1',
      section: '3.1',
      level: 'SHOULD',
      text: 'A malformed request to a resource is refused as invalid_request with status 400.',
      url: 'https://www.rfc-editor.org/rfc/rfc6750#section-3.1',
    },
    {
      id: 'RFC6750-3.1-2',
      section: '3.1',
      level: 'SHOULD',
      text: 'A token that is expired, revoked, malformed or invalid otherwise is refused as invalid_token with status 401.',
      url: 'https://www.rfc-editor.org/rfc/rfc6750#section-3.1',
    },
    {
      id: 'RFC6750-3.1-3',
      section: '3.1',
      level: 'SHOULD',
      text: 'A token without the privileges the request needs is refused as insufficient_scope with status 403.',
      url: 'https://www.rfc-editor.org/rfc/rfc6750#section-3.1',
    },
  ],
} as const satisfies Specification
