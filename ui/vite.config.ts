import { defineConfig } from "vite";

/**
 * Builds the page to `dist/ui`. Everything under `assets/` carries a hash of its content in its name, so the
 * gateway may serve it as immutable; `index.html` must always be asked for again.
 *
 * The output obeys `script-src 'self'; style-src 'self'` with trusted types on: nothing is inlined, not even
 * small assets (no `data:`), and the preload polyfill, which would be a second script, is left out.
 */
export default defineConfig({
  root: import.meta.dirname,
  // Relative, so that the page also works below `gateway.controlUi.basePath`.
  base: "./",
  publicDir: false,
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    outDir: "../dist/ui",
    emptyOutDir: true,
    manifest: "manifest.json",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: ["chrome123", "edge123", "firefox121", "safari17.5"],
    reportCompressedSize: false,
  },
});
