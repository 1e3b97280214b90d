/** Where a sandbox with egress finds its way out, inside. */
export const egressInside = Object.freeze({
  socketFile: "/run/openclaw/egress.sock",
  rootsFile: "/run/openclaw/roots.pem",
  port: 3128,
});

/** What a sandbox with egress is shown of the host. Absolute. */
export interface EgressDoor {
  /** The proxy's unix socket. */
  readonly socketFile: string;
  /** Certificates to trust: the system's, and the one of the authority that the proxy signs with. */
  readonly rootsFile: string;
}

/** What a container or a sandbox mounts, read-only: connecting needs no right to write. */
export function egressMounts(
  door: EgressDoor,
): readonly { readonly hostPath: string; readonly insidePath: string }[] {
  return [
    { hostPath: door.socketFile, insidePath: egressInside.socketFile },
    { hostPath: door.rootsFile, insidePath: egressInside.rootsFile },
  ];
}

/** Variables by which programs find the proxy, and trust it. Nothing in them is secret. */
export const egressEnvironment: Readonly<Record<string, string>> = Object.freeze({
  ...both(["http_proxy", "https_proxy", "all_proxy"], `http://127.0.0.1:${egressInside.port}`),
  ...both(["no_proxy"], "localhost,127.0.0.1,::1"),
  ...Object.fromEntries(
    [
      "SSL_CERT_FILE",
      "NODE_EXTRA_CA_CERTS",
      "CURL_CA_BUNDLE",
      "REQUESTS_CA_BUNDLE",
      "GIT_SSL_CAINFO",
      "PIP_CERT",
      "CARGO_HTTP_CAINFO",
    ].map((name) => [name, egressInside.rootsFile]),
  ),
  // Without this Node asks nobody for a proxy.
  NODE_USE_ENV_PROXY: "1",
});

/** Programs differ in which spelling they read. */
function both(names: readonly string[], value: string): Record<string, string> {
  return Object.fromEntries(names.flatMap((name) => [name, name.toUpperCase()]).map((name) => [name, value]));
}

/**
 * Listens on the sandbox's own loopback, then becomes the command that follows; what is left behind carries bytes from
 * there to the proxy's socket. Perl, because its base package is part of every Debian and Ubuntu, and it starts in a
 * fraction of Node's time and memory (docs/egress.md). It listens before the command begins, so nothing has to wait.
 * Where several commands share one loopback, as in a warm container, each listens there, and the kernel shares out.
 * The double fork leaves the command without a child that it never started.
 */
const forwarder = `
use strict; use Socket; use Fcntl; use Errno 'EAGAIN';
my ($path, $port) = splice @ARGV, 0, 2;
socket my $door, PF_INET, SOCK_STREAM, 0 or die "socket: $!";
setsockopt $door, SOL_SOCKET, SO_REUSEPORT, 1;
bind $door, sockaddr_in($port, INADDR_LOOPBACK) or die "port $port: $!";
listen $door, 128 or die "listen: $!";
defined(my $child = fork) or die "fork: $!";
if ($child) { waitpid $child, 0; close $door; exec { $ARGV[0] } @ARGV or die "$ARGV[0]: $!" }
exit if fork;
open STDIN, '<', '/dev/null'; open STDOUT, '>', '/dev/null'; open STDERR, '>', '/dev/null';
chdir '/'; $SIG{PIPE} = 'IGNORE';
my (%sock, %other, %out, %ended, %shut);
sub add { my ($s, $o) = @_; my $n = fileno $s; fcntl $s, F_SETFL, O_NONBLOCK; $sock{$n} = $s; $other{$n} = fileno $o; $out{$n} = '' }
sub drop { my $n = shift; for my $f ($n, $other{$n}) { close $sock{$f}; delete $_->{$f} for \\(%sock, %out, %ended, %shut) } delete @other{$other{$n}, $n} }
while (1) {
  my ($r, $w) = ('', '');
  vec($r, fileno $door, 1) = 1 if keys %sock < 256;
  for my $n (keys %sock) {
    vec($r, $n, 1) = 1 if !$ended{$n} && length $out{$other{$n}} < 65536;
    vec($w, $n, 1) = 1 if length $out{$n};
  }
  next if select($r, $w, undef, undef) < 1;
  for my $n (keys %sock) {
    next unless $sock{$n};
    if (vec($r, $n, 1)) {
      my $got = sysread $sock{$n}, my $bytes, 65536;
      if ($got) { $out{$other{$n}} .= $bytes } elsif (defined $got) { $ended{$n} = 1 } elsif ($! != EAGAIN) { drop($n); next }
    }
    for my $f ($n, $other{$n}) {
      if (length $out{$f}) {
        my $put = syswrite $sock{$f}, $out{$f};
        if (defined $put) { substr($out{$f}, 0, $put, '') } elsif ($! != EAGAIN) { drop($n); last }
      }
      if ($ended{$other{$f}} && !length $out{$f} && !$shut{$f}) { shutdown $sock{$f}, 1; $shut{$f} = 1 }
    }
    drop($n) if $sock{$n} && $shut{$n} && $shut{$other{$n}};
  }
  if (vec($r, fileno $door, 1) && accept my $in, $door) {
    socket my $up, PF_UNIX, SOCK_STREAM, 0 or next;
    if (connect $up, sockaddr_un($path)) { add($in, $up); add($up, $in) }
  }
}
`;

/** What to put before the argv that runs inside. `perl` is absolute. */
export function forwarderArgv(perl: string): readonly string[] {
  return [perl, "-e", forwarder, "--", egressInside.socketFile, String(egressInside.port)];
}
