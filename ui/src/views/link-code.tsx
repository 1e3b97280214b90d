import { qrSymbol } from "../../../src/cli/qr-symbol.ts";
import { Visible } from "./visible.tsx";

/** Modules of white around the symbol, as scanners want it (ISO/IEC 18004, 9.1). */
const margin = 4;

interface Props {
  readonly label: string;
  readonly code: string;
}

/** What the platform's app scans to link a device. Dark on white in both themes: many scanners read nothing else. */
export default function LinkCode({ label, code }: Props) {
  const modules = qrSymbol(code);
  const size = modules.length + 2 * margin;
  const dark = modules
    .flatMap((row, y) => row.map((isDark, x) => (isDark ? `M${x + margin} ${y + margin}h1v1h-1z` : "")))
    .join("");
  return (
    <figure class="link-code">
      <svg
        viewBox={`0 0 ${size} ${size}`}
        shape-rendering="crispEdges"
        role="img"
        aria-label={`A QR code that links a device. Scan it with ${label} on the phone: Settings, Linked devices, Link a device.`}
      >
        <rect width={size} height={size} fill="#fff" />
        <path d={dark} fill="#000" />
      </svg>
      <figcaption class="quiet">
        Scan with <Visible source={label} /> &gt; Linked devices. The code is renewed every few seconds, and
        disappears once the device is linked. Whoever scans it first decides whose account the gateway speaks
        for: show it to nobody else.
      </figcaption>
    </figure>
  );
}
