// A tenant is an issuer. Every stored row and every key belongs to exactly one.

export type TenantId = string & { readonly tenant: unique symbol }

/** The tenant at the root issuer; it exists from the first start on. */
export const defaultTenant = 'default' as TenantId

export interface Tenant {
  readonly id: TenantId
  /** The issuer identifier, byte for byte as published (RFC 8414 §2). */
  readonly issuer: string
  readonly createdAt: number
}
