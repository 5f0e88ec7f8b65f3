from django.urls import include, path
from rest_framework.routers import DefaultRouter

from . import views

router = DefaultRouter()
router.register("choices", views.ChoiceViewSet)

urlpatterns = [
    path("", views.index),
    path("<int:question_id>/", views.detail),
] + [path("api/", include(router.urls))]
