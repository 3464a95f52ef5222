// Bundle the game for the page: `npm install && npm run build` in this folder writes docs/javascripts/play.js.
// The bundle is committed, so that the site is built without npm. It fetches nothing.
import {buildSync} from "esbuild";

buildSync({
  entryPoints: ["play.js"],
  outfile: "../../docs/javascripts/play.js",
  bundle: true,
  minify: true,
  format: "iife",
  globalName: "ganlabPlay",
  target: "es2019",
  legalComments: "none",
  banner: {
    js: "/* Built from tools/play. Contains TensorFlow.js (tfjs-core, tfjs-backend-cpu), Copyright Google LLC, under the "
      + "Apache License 2.0: see play.LICENSE.txt */",
  },
});
