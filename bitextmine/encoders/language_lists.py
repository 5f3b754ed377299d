"""Lists of languages that several encoders share."""

from __future__ import annotations

# Conneau et al. 2020, Unsupervised Cross-lingual Representation Learning at Scale, table 6: the languages of the text
# that XLM-R learned from, some of them in Latin letters too. Its Tagalog is here fil, its Norwegian mostly nob.
XLM_R: tuple[str, ...] = (
    *("afr_Latn", "amh_Ethi", "ara_Arab", "asm_Beng", "aze_Latn", "bel_Cyrl", "ben_Beng", "ben_Latn", "bos_Latn"),
    *("bre_Latn", "bul_Cyrl", "cat_Latn", "ces_Latn", "cym_Latn", "dan_Latn", "deu_Latn", "ell_Grek", "eng_Latn"),
    *("epo_Latn", "est_Latn", "eus_Latn", "fas_Arab", "fil_Latn", "fin_Latn", "fra_Latn", "fry_Latn", "gla_Latn"),
    *("gle_Latn", "glg_Latn", "guj_Gujr", "hau_Latn", "heb_Hebr", "hin_Deva", "hin_Latn", "hrv_Latn", "hun_Latn"),
    *("hye_Armn", "ind_Latn", "isl_Latn", "ita_Latn", "jav_Latn", "jpn_Jpan", "kan_Knda", "kat_Geor", "kaz_Cyrl"),
    *("khm_Khmr", "kir_Cyrl", "kor_Hang", "kur_Latn", "lao_Laoo", "lat_Latn", "lav_Latn", "lit_Latn", "mal_Mlym"),
    *("mar_Deva", "mkd_Cyrl", "mlg_Latn", "mon_Cyrl", "msa_Latn", "mya_Mymr", "nep_Deva", "nld_Latn", "nob_Latn"),
    *("nor_Latn", "ori_Orya", "orm_Latn", "pan_Guru", "pol_Latn", "por_Latn", "pus_Arab", "ron_Latn", "rus_Cyrl"),
    *("san_Deva", "sin_Sinh", "slk_Latn", "slv_Latn", "snd_Arab", "som_Latn", "spa_Latn", "sqi_Latn", "srp_Cyrl"),
    *("sun_Latn", "swa_Latn", "swe_Latn", "tam_Latn", "tam_Taml", "tel_Latn", "tel_Telu", "tha_Thai", "tur_Latn"),
    *("uig_Arab", "ukr_Cyrl", "urd_Arab", "urd_Latn", "uzb_Latn", "vie_Latn", "xho_Latn", "yid_Hebr", "zho_Hans"),
    "zho_Hant",
)
