import { isIP } from "node:net";

/** Where somebody listens or calls from; the path of a socket has no port. */
export interface Address {
  readonly address: string;
  readonly port: number | undefined;
}

/**
 * Reads the target of a channel as grpc-js gives it: `dns:host:port`, `ipv4:1.2.3.4:5`, `unix:/path` and their
 * long forms. A list of addresses, or a scheme that is not known, is an address as a whole.
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
// `//` and the name of whom to ask, which is nobody mostly: dns://8.8.8.8/host:port.
const AUTHORITY = /^\/\/[^/]*/;
const LEADING_SLASH = /^\//;
const HOST_SCHEMES: ReadonlySet<string> = new Set(["dns", "ipv4", "ipv6"]);

/** Reads `host:port`, `[::1]:port`, or a host alone. */
export function hostAddress(text: string): Address {
  const [, bracketed, plain, port] = HOST_PORT.exec(text) ?? [];
  const address = bracketed ?? plain;
  if (address === undefined) return { address: text, port: undefined };
  return { address, port: portOf(port) };
}

// Several colons without brackets are an address of IPv6 without a port.
const HOST_PORT = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/;

function portOf(text: string | undefined): number | undefined {
  const port = Number(text);
  return port <= 65_535 ? port : undefined;
}

/** Reads what grpc-js calls a peer: `1.2.3.4:5`, `[::1]:5`, `::1:5` or the path of a socket; else undefined. */
export function peerAddress(peer: string): Address | undefined {
  if (peer.startsWith("/")) return { address: peer, port: undefined };
  const colon = peer.lastIndexOf(":");
  const port = portOf(peer.slice(colon + 1));
  const host = peer.slice(0, Math.max(colon, 0)).replace(BRACKETS, "");
  return isIP(host) === 0 || port === undefined ? undefined : { address: host, port };
}

const BRACKETS = /^\[|\]$/g;

/** Keeps what was read, for texts that come again with every call. Forgets all when there are too many. */
export function remembering<T>(read: (text: string) => T): (text: string) => T | undefined {
  const known = new Map<string, T>();
  return (text) => {
    // Nobody's address is that long; a stranger's header may be.
    if (text.length > MAX_LENGTH) return undefined;
    const found = known.get(text);
    if (found !== undefined) return found;
    const made = read(text);
    if (known.size >= MAX_KNOWN) known.clear();
    known.set(text, made);
    return made;
  };
}

const MAX_LENGTH = 300;
const MAX_KNOWN = 500;
