/** An address without its user and password, for errors, which end up in logs. */
export function masked(address: string): string {
  return address.replace(/\/\/[^]*@/, '//…@');
}
