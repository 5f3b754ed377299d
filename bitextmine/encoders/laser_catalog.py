"""What is published of LASER: languages and names of files.

Sources: https://github.com/facebookresearch/LASER (README.md: the languages of LASER, which are those of LASER2;
nllb/download_models.sh: file names); Heffernan et al. 2022, Bitext Mining Using Distilled Sentence Representations for
Low-Resource Languages.
"""

from __future__ import annotations

import re

LASER_URL = "https://dl.fbaipublicfiles.com/nllb/laser"

# 93 by the README; Chinese in both scripts and Norwegian under both of its codes, Coastal Kadazan under dtp.
LASER2_LANGUAGES = (
    *("afr_Latn", "amh_Ethi", "ara_Arab", "aym_Latn", "aze_Latn", "bel_Cyrl", "ben_Beng", "ber_Latn", "bos_Latn"),
    *("bre_Latn", "bul_Cyrl", "cat_Latn", "cbk_Latn", "ces_Latn", "cor_Latn", "dan_Latn", "deu_Latn", "div_Thaa"),
    *("dtp_Latn", "ell_Grek", "eng_Latn", "epo_Latn", "est_Latn", "eus_Latn", "fas_Arab", "fil_Latn", "fin_Latn"),
    *("fra_Latn", "gle_Latn", "glg_Latn", "hau_Latn", "heb_Hebr", "hin_Deva", "hrv_Latn", "hun_Latn", "hye_Armn"),
    *("ido_Latn", "ile_Latn", "ina_Latn", "ind_Latn", "isl_Latn", "ita_Latn", "jpn_Jpan", "kab_Latn", "kat_Geor"),
    *("kaz_Cyrl", "khm_Khmr", "kor_Hang", "kur_Latn", "lat_Latn", "lav_Latn", "lfn_Latn", "lit_Latn", "mal_Mlym"),
    *("mar_Deva", "mhr_Cyrl", "mkd_Cyrl", "mlg_Latn", "msa_Latn", "mya_Mymr", "nds_Latn", "nld_Latn", "nob_Latn"),
    *("nor_Latn", "oci_Latn", "pol_Latn", "por_Latn", "ron_Latn", "rus_Cyrl", "sin_Sinh", "slk_Latn", "slv_Latn"),
    *("snd_Arab", "som_Latn", "spa_Latn", "sqi_Latn", "srp_Cyrl", "swa_Latn", "swe_Latn", "tam_Taml", "tat_Cyrl"),
    *("tel_Telu", "tgk_Cyrl", "tha_Thai", "tur_Latn", "uig_Arab", "ukr_Cyrl", "urd_Arab", "uzb_Latn", "vie_Latn"),
    *("wuu_Hans", "yue_Hant", "zho_Hans", "zho_Hant"),
)

# Students that were published with a SentencePiece model and a vocabulary of their own; the others use LASER2's.
_OWN_TOKENIZER = frozenset(
    (
        *("amh_Ethi", "ayr_Latn", "azj_Latn", "bak_Cyrl", "bel_Cyrl", "bod_Tibt", "ckb_Arab", "crh_Latn", "dik_Latn"),
        *("dzo_Tibt", "fur_Latn", "fuv_Latn", "grn_Latn", "kab_Latn", "kac_Latn", "kaz_Cyrl", "kir_Cyrl", "kmr_Latn"),
        *("lij_Latn", "lim_Latn", "lmo_Latn", "ltg_Latn", "mya_Mymr", "pbt_Arab", "pes_Arab", "prs_Arab", "sat_Beng"),
        *("scn_Latn", "srd_Latn", "szl_Latn", "taq_Latn", "tgk_Cyrl", "tir_Ethi", "tzm_Tfng", "vec_Latn"),
    )
)

_STUDENT = re.compile(r"laser3-([a-z]{3})_([a-z]{4})")


def student_language(name: str) -> str | None:
    """The NLLB code in an encoder's name: `laser3-wol_latn` -> `wol_Latn`; None for another name."""
    match = _STUDENT.fullmatch(name)
    return f"{match[1]}_{match[2].title()}" if match else None


def student_files(language: str) -> tuple[str, str, str]:
    """Checkpoint, SentencePiece model and vocabulary of the LASER3 student of a language, given as its NLLB code."""
    own = f"laser3-{language}.v1"
    tokenizer = own if language in _OWN_TOKENIZER else "laser2"
    return f"{own}.pt", f"{tokenizer}.spm", f"{tokenizer}.cvocab"
