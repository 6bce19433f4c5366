// The choice of language and theme.
import { chooseLanguage, chooseTheme, language, theme } from "../core/choices.js";
import { html } from "../core/view.js";
import { t } from "../core/words.js";
import { Segments } from "./controls.js";

export const Preferences = () => html`<div class="buttons">
  <${Segments} label=${t("language")} value=${language.value} set=${chooseLanguage} options=${[["es", "ES"], ["en", "EN"]]} />
  <${Segments} label=${t("theme")} value=${theme.value} set=${chooseTheme}
    options=${[["auto", t("theme.auto")], ["light", t("theme.light")], ["dark", t("theme.dark")]]} />
</div>`;
