"""Pictures of a report page: light and dark, on a desk and on a telephone.

    python scripts/screenshots.py report/report.html pictures

Exits with 1 if the page scrolls sideways anywhere. It needs Chromium with its driver, and selenium
(`pip install selenium`), which nothing else here uses.
"""

from __future__ import annotations

import argparse
import base64
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

WIDTHS = {"desk": 1280, "phone": 375}
SCHEMES = ("light", "dark")
_HIGHEST = 16_000
_OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def main() -> int:
    """Take the pictures; 0 if the page is well, 1 if not, 2 if something is missing."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("page", type=Path, help="an HTML file")
    parser.add_argument("folder", type=Path, help="where the PNG files go")
    given = parser.parse_args()
    if not given.page.is_file():
        print(f"{given.page} is not there.", file=sys.stderr)
        return 2
    missing = [name for name in ("chromium", "chromedriver") if not shutil.which(name)]
    try:
        from selenium import webdriver
    except ImportError:
        missing.append("selenium")
    if missing:
        print(f"not installed: {', '.join(missing)}", file=sys.stderr)
        return 2
    given.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = str(shutil.which("chromium"))
        for option in (*_OPTIONS, f"--user-data-dir={profile}"):
            options.add_argument(option)
        service = webdriver.ChromeService(executable_path=shutil.which("chromedriver"))
        browser = webdriver.Chrome(options=options, service=service)
        try:
            return max(
                take(browser, given.page, given.folder, device, scheme)
                for device in WIDTHS
                for scheme in SCHEMES
            )
        finally:
            browser.quit()


def take(browser: Any, page: Path, folder: Path, device: str, scheme: str) -> int:
    """Take one picture; 1 if the page is too wide."""
    width = WIDTHS[device]
    media = [{"name": "prefers-color-scheme", "value": scheme}]
    _tell(browser, "Emulation.setEmulatedMedia", features=media)
    metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": device == "phone"}
    _tell(browser, "Emulation.setDeviceMetricsOverride", **metrics)
    browser.get(page.resolve().as_uri())
    wide, high = browser.execute_script(
        "const e = document.documentElement; return [e.scrollWidth, e.scrollHeight]"
    )
    clip = {"x": 0, "y": 0, "width": width, "height": min(high, _HIGHEST), "scale": 1}
    picture = _tell(browser, "Page.captureScreenshot", clip=clip, captureBeyondViewport=True)
    file = folder / f"{page.stem}-{device}-{scheme}.png"
    file.write_bytes(base64.b64decode(picture["data"]))
    well = wide <= width
    print(f"{file}: {width} px, {'well' if well else f'scrolls sideways, being {wide} px wide'}")
    return 0 if well else 1


def _tell(browser: Any, command: str, **parameters: Any) -> dict[str, Any]:
    answer: dict[str, Any] = browser.execute_cdp_cmd(command, parameters)
    return answer


if __name__ == "__main__":
    sys.exit(main())
