import tailwindcss from "@tailwindcss/vite";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// `npm run dev` shows the page with live reload, in front of a server that runs on the usual port.
const SERVER = "http://127.0.0.1:3011";

export default defineConfig({
  plugins: [react(), tailwindcss()],
  build: {
    outDir: "../src/comfyserve/_pages",
    emptyOutDir: true,
    // Of its own, so that no wire API's route can collide with it; names carry a hash and may be cached for ever.
    assetsDir: "_app",
    // The page's CSP allows no data: scripts or styles.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: { proxy: { "/v1": SERVER, "/files": SERVER } },
});
