// The README's picture: taken anew by `make screenshot`, and in every other run only taken.

import path from "node:path";
import { column, expectDrawn, openLab, test } from "./lab.js";

test("the README’s picture can be taken @screenshot", async ({ page }, info) => {
  await page.setViewportSize({ width: 1280, height: 1180 });
  await openLab(page, "?data=fashion&picture=0&model=standard&norm=linf&eps=0.1");
  for (const canvas of await column(page).locator("canvas:not(.sentinel)").all()) await expectDrawn(canvas);
  await page.evaluate(() => scrollTo(0, 0));
  const place = process.env.UPDATE_SCREENSHOT ? path.join(import.meta.dirname, "../../docs/screenshot.png") : info.outputPath("screenshot.png");
  await page.screenshot({ path: place, animations: "disabled" });
});
