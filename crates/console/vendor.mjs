// Renews the libraries in assets/vendor from npm, or checks that they are what the manifest says.
//
//   node crates/console/vendor.mjs          fetches the versions below, and writes files, licences and manifest
//   node crates/console/vendor.mjs --check  compares the files with the manifest, without a network
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** @type {{ name: string, version: string, files: Record<string, string> }[]} */
const PACKAGES = [
  { name: "preact", version: "11.2.0", files: { "preact.js": "dist/preact.mjs", "hooks.js": "hooks/dist/hooks.mjs" } },
  { name: "@preact/signals-core", version: "1.14.5", files: { "signals-core.js": "dist/signals-core.mjs" } },
  { name: "@preact/signals", version: "2.11.4", files: { "signals.js": "dist/signals.mjs" } },
  { name: "htm", version: "3.1.1", files: { "htm.js": "dist/htm.mjs" } },
  { name: "uqr", version: "0.1.3", files: { "qr.js": "dist/index.mjs" } },
  { name: "uplot", version: "1.6.32", files: { "uplot.js": "dist/uPlot.iife.min.js", "uplot.css": "dist/uPlot.min.css" } },
];

/** What a browser without an import map needs instead of the names of packages. */
const PLACES = {
  '"preact/hooks"': '"./hooks.js"',
  '"@preact/signals-core"': '"./signals-core.js"',
  '"preact"': '"./preact.js"',
};

const folder = new URL("assets/vendor/", import.meta.url);
const manifest = new URL("manifest.json", folder);

/** @param {string | Buffer} content */
const digest = (content) => createHash("sha256").update(content).digest("hex");

/**
 * Returns a file as a module that finds the others.
 * @param {string} name
 * @param {string} text
 */
function adapted(name, text) {
  let module = text.replace(/\n?\/\/# sourceMappingURL=.*\s*$/, "\n");
  for (const [from, to] of Object.entries(PLACES)) module = module.replaceAll(`from${from}`, `from${to}`);
  return name === "uplot.js" ? `${module}\nexport default uPlot;\n` : module;
}

function renew() {
  const work = mkdtempSync(join(tmpdir(), "vendor-"));
  const listed = [];
  let licences = "";
  for (const { name, version, files } of PACKAGES) {
    const packed = execFileSync("npm", ["pack", `${name}@${version}`, "--silent"], { cwd: work, encoding: "utf8" }).trim();
    execFileSync("tar", ["-xzf", packed], { cwd: work });
    const about = JSON.parse(readFileSync(join(work, "package/package.json"), "utf8"));
    licences += `${name} ${version} (${about.license})\n\n${readFileSync(join(work, "package/LICENSE"), "utf8").trim()}\n\n\n`;
    for (const [file, source] of Object.entries(files)) {
      const content = adapted(file, readFileSync(join(work, "package", source), "utf8"));
      writeFileSync(new URL(file, folder), content);
      listed.push({ file, package: name, version, source, licence: about.license, sha256: digest(content) });
    }
    rmSync(join(work, "package"), { recursive: true });
  }
  rmSync(work, { recursive: true });
  writeFileSync(new URL("LICENCES", folder), `${licences.trim()}\n`);
  writeFileSync(manifest, `${JSON.stringify(listed, null, 2)}\n`);
}

function check() {
  for (const { file, sha256 } of JSON.parse(readFileSync(manifest, "utf8"))) {
    const found = digest(readFileSync(new URL(file, folder)));
    if (found !== sha256) {
      console.error(`assets/vendor/${file}: expected sha256 ${sha256}, found ${found}`);
      process.exitCode = 1;
    }
  }
}

if (process.argv.includes("--check")) check();
else renew();
