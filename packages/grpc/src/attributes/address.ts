import { isIP } from "node:net";

/** A host and its port, or the path of a Unix socket, which has no port. */
export interface Address {
  readonly address: string;
  readonly port: number | undefined;
}

/**
 * Parses a channel's target: `dns:host:port`, `ipv4:1.2.3.4:5`, `unix:/path`, and their forms with slashes. A list
 * of addresses, or a target of any other scheme, becomes the address as a whole, without a port.
 */
export function targetAddress(target: string): Address {
  const [, scheme, rest = ""] = TARGET.exec(target) ?? [];
  if (scheme === "unix") return { address: rest.replace(AUTHORITY, ""), port: undefined };
  if (scheme === undefined || !HOST_SCHEMES.has(scheme) || rest.includes(",")) {
    return { address: target, port: undefined };
  }
  return hostAddress(rest.replace(AUTHORITY, "").replace(LEADING_SLASH, ""));
}

const TARGET = /^([a-z][a-z0-9+.-]*):(.*)$/s;
// `//` and the name server to ask, mostly none: `dns://8.8.8.8/host:port`, `dns:///host:port`.
const AUTHORITY = /^\/\/[^/]*/;
const LEADING_SLASH = /^\//;
const HOST_SCHEMES: ReadonlySet<string> = new Set(["dns", "ipv4", "ipv6"]);

/** Parses `host:port`, `[::1]:port`, or a host alone. Any other text becomes the address, without a port. */
export function hostAddress(text: string): Address {
  const [, bracketed, plain, port] = HOST_PORT.exec(text) ?? [];
  const address = bracketed ?? plain;
  if (address === undefined) return { address: text, port: undefined };
  return { address, port: parsePort(port) };
}

// No match for several colons without brackets, which are an IPv6 address without a port.
const HOST_PORT = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/;

function parsePort(text: string | undefined): number | undefined {
  const port = Number(text);
  return port <= 65_535 ? port : undefined;
}

/** Parses what `getPeer` of a call returns: `1.2.3.4:5`, `[::1]:5`, `::1:5`, or a socket's path; else undefined. */
export function peerAddress(peer: string): Address | undefined {
  if (peer.startsWith("/")) return { address: peer, port: undefined };
  const colon = peer.lastIndexOf(":");
  const port = parsePort(peer.slice(colon + 1));
  const host = peer.slice(0, Math.max(colon, 0)).replace(BRACKETS, "");
  return isIP(host) === 0 || port === undefined ? undefined : { address: host, port };
}

const BRACKETS = /^\[|\]$/g;

/**
 * Returns `parse` with a cache, for the few texts that come with every call. At 500 texts the cache is emptied. A
 * text of more than 300 characters gives undefined: no address is that long, but a stranger's header may be.
 */
export function memoize<T>(parse: (text: string) => T): (text: string) => T | undefined {
  const cache = new Map<string, T>();
  return (text) => {
    if (text.length > MAX_TEXT_LENGTH) return undefined;
    const cached = cache.get(text);
    if (cached !== undefined) return cached;
    const parsed = parse(text);
    if (cache.size >= MAX_CACHED_TEXTS) cache.clear();
    cache.set(text, parsed);
    return parsed;
  };
}

const MAX_TEXT_LENGTH = 300;
const MAX_CACHED_TEXTS = 500;
