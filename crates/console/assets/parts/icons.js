// Icons, drawn in the ink of their place. They say nothing that a word beside them does not say.
import { html } from "../core/view.js";

/** @type {Record<string, string>} */
const PATHS = {
  overview: "M3 12l9-8 9 8M5 10v10h5v-6h4v6h5V10",
  devices: "M4 5h16v6H4zM4 13h16v6H4zM8 8h.01M8 16h.01M12 8h4M12 16h4",
  requests: "M6 3h9l4 4v14H6zM14 3v5h5M9 13h7M9 17h7",
  import: "M12 15V4M7 9l5-5 5 5M4 15v5h16v-5",
  quarantine: "M12 3l9 16H3zM12 9v5M12 17h.01",
  alerts: "M6 17h12l-1.500-2.500V10a4.500 4.500 0 00-9 0v4.500zM10 20h4",
  pilot: "M4 20V9M10 20V4M16 20v-7M22 20H2",
  audit: "M12 3l8 3v6c0 5-3.5 8-8 9-4.500-1-8-4-8-9V6zM8.500 12l2.500 2.500L16 9.500",
  admin: "M12 12a4 4 0 100-8 4 4 0 000 8zM4 21c0-4 3.500-7 8-7s8 3 8 7",
  menu: "M4 7h16M4 12h16M4 17h16",
  close: "M6 6l12 12M18 6L6 18",
  check: "M4 12.500l5 5L20 6.500",
  cross: "M6 6l12 12M18 6L6 18",
  clock: "M12 7v5l3 2M12 21a9 9 0 100-18 9 9 0 000 18z",
  alert: "M12 8v5M12 16.500h.01M12 21a9 9 0 100-18 9 9 0 000 18z",
  minus: "M5 12h14",
  download: "M12 4v11M7 10l5 5 5-5M4 20h16",
};

/** @param {{ name: string }} properties */
export const Icon = ({ name }) => html`<svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2"
  stroke-linecap="round" stroke-linejoin="round" aria-hidden="true"><path d=${PATHS[name]} /></svg>`;

export const Logo = () => html`<svg viewBox="0 0 32 32" aria-hidden="true"><rect width="32" height="32" rx="7" fill="#0b6e6e" />
  <path d="M7 23V9l9 9 9-9v14" fill="none" stroke="#fff" stroke-width="3" stroke-linecap="round" stroke-linejoin="round" /></svg>`;
