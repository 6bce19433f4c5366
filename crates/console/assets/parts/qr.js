// A text as a QR code (ISO/IEC 18004), which a telephone reads from the screen.
import { html } from "../core/view.js";
import { encode } from "../vendor/qr.js";

/** The margin of light modules that readers need. */
const QUIET = 4;

/** @param {{ text: string, label: string }} properties */
export function QrCode({ text, label }) {
  const { size, data } = encode(text, { ecc: "M", border: QUIET });
  const path = data.flatMap((row, y) => row.map((isDark, x) => (isDark ? `M${x} ${y}h1v1h-1z` : ""))).join("");
  return html`<svg class="qr" viewBox="0 0 ${size} ${size}" role="img" aria-label=${label} shape-rendering="crispEdges">
    <rect width=${size} height=${size} fill="#fff" /><path d=${path} fill="#000" /></svg>`;
}
