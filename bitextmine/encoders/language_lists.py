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

# Feng et al. 2022, Language-agnostic BERT Sentence Embedding: 109 languages; its Norwegian is mostly nob.
LABSE: tuple[str, ...] = (
    *("afr_Latn", "amh_Ethi", "ara_Arab", "asm_Beng", "aze_Latn", "bel_Cyrl", "ben_Beng", "bod_Tibt", "bos_Latn"),
    *("bul_Cyrl", "cat_Latn", "ceb_Latn", "ces_Latn", "cos_Latn", "cym_Latn", "dan_Latn", "deu_Latn", "ell_Grek"),
    *("eng_Latn", "epo_Latn", "est_Latn", "eus_Latn", "fas_Arab", "fil_Latn", "fin_Latn", "fra_Latn", "fry_Latn"),
    *("gla_Latn", "gle_Latn", "glg_Latn", "guj_Gujr", "hat_Latn", "hau_Latn", "haw_Latn", "heb_Hebr", "hin_Deva"),
    *("hmn_Latn", "hrv_Latn", "hun_Latn", "hye_Armn", "ibo_Latn", "ind_Latn", "isl_Latn", "ita_Latn", "jav_Latn"),
    *("jpn_Jpan", "kan_Knda", "kat_Geor", "kaz_Cyrl", "khm_Khmr", "kin_Latn", "kir_Cyrl", "kor_Hang", "kur_Latn"),
    *("lao_Laoo", "lat_Latn", "lav_Latn", "lit_Latn", "ltz_Latn", "mal_Mlym", "mar_Deva", "mkd_Cyrl", "mlg_Latn"),
    *("mlt_Latn", "mon_Cyrl", "mri_Latn", "msa_Latn", "mya_Mymr", "nep_Deva", "nld_Latn", "nob_Latn", "nor_Latn"),
    *("nya_Latn", "ori_Orya", "pan_Guru", "pol_Latn", "por_Latn", "ron_Latn", "rus_Cyrl", "sin_Sinh", "slk_Latn"),
    *("slv_Latn", "smo_Latn", "sna_Latn", "som_Latn", "sot_Latn", "spa_Latn", "sqi_Latn", "srp_Cyrl", "sun_Latn"),
    *("swa_Latn", "swe_Latn", "tam_Taml", "tat_Cyrl", "tel_Telu", "tgk_Cyrl", "tha_Thai", "tuk_Latn", "tur_Latn"),
    *("uig_Arab", "ukr_Cyrl", "urd_Arab", "uzb_Latn", "vie_Latn", "wol_Latn", "xho_Latn", "yid_Hebr", "yor_Latn"),
    *("zho_Hans", "zul_Latn"),
)

# Reimers & Gurevych 2020 and the documentation of sentence-transformers: the languages of its multilingual students.
SBERT_STUDENTS: tuple[str, ...] = (
    *("ara_Arab", "bul_Cyrl", "cat_Latn", "ces_Latn", "dan_Latn", "deu_Latn", "ell_Grek", "eng_Latn", "est_Latn"),
    *("fas_Arab", "fin_Latn", "fra_Latn", "glg_Latn", "guj_Gujr", "heb_Hebr", "hin_Deva", "hrv_Latn", "hun_Latn"),
    *("hye_Armn", "ind_Latn", "ita_Latn", "jpn_Jpan", "kat_Geor", "kor_Hang", "kur_Latn", "lav_Latn", "lit_Latn"),
    *("mar_Deva", "mkd_Cyrl", "mon_Cyrl", "msa_Latn", "mya_Mymr", "nld_Latn", "nob_Latn", "pol_Latn", "por_Latn"),
    *("ron_Latn", "rus_Cyrl", "slk_Latn", "slv_Latn", "spa_Latn", "sqi_Latn", "srp_Cyrl", "swe_Latn", "tha_Thai"),
    *("tur_Latn", "ukr_Cyrl", "urd_Arab", "vie_Latn", "zho_Hans", "zho_Hant"),
)
