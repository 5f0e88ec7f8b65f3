from django.db import migrations, models

from blog.mistakes import MISSING_INDEX


class Migration(migrations.Migration):
    dependencies = [("blog", "0001_initial")]

    operations = (
        []
        if MISSING_INDEX
        else [
            migrations.AddIndex(
                model_name="comment",
                index=models.Index(fields=["post"], name="comment_by_post"),
            )
        ]
    )
